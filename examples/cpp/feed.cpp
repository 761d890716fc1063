// Keeps a map from files to rating keys by the feed of changes. `feed URL TOKEN CACHE FILE SECONDS`
// FILE holds the cursor and the map between runs. The program goes on until nothing changes for SECONDS. Before the first
// listing it waits as long for a server that is away.
#include <plexindex.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace {

// Pairs of a file and a rating key: a file of several items has a pair for each.
struct Map {
    std::string cursor; // empty: all has to be listed
    std::set<std::pair<std::string, std::string>> pairs;
};

// Applies a change. Returns false for one that the feed cannot tell item by item.
bool apply(Map &map, const plexindex::Change &change) {
    if (!change.item || change.kind == plexindex::ChangeKind::other) return false;
    const std::string &key = change.item->rating_key, before = change.from_key.value_or(key);
    if (change.path) map.pairs.erase({*change.path, before});
    if (change.from) map.pairs.erase({*change.from, before});
    if (change.path && change.kind != plexindex::ChangeKind::removed) map.pairs.emplace(*change.path, key);
    return true;
}

void update(const plexindex::Library &all, Map &map) {
    for (bool more = true; more;) try {
        plexindex::ChangesOptions options;
        options.full = map.cursor.empty();
        const plexindex::ChangesPage page = all.list_changes(map.cursor, options);
        const auto applied = [&](const plexindex::Change &change) { return apply(map, change); };
        if (std::all_of(page.changes.begin(), page.changes.end(), applied)) map.cursor = page.cursor, more = page.more;
        else map = Map();
    } catch (const plexindex::Error &error) {
        if (error.status() != plexindex::Status::list_again) throw;
        map = Map();
    }
}

void load(Map &map, const std::string &name) {
    std::ifstream file(name, std::ios::binary);
    std::getline(file, map.cursor, '\0');
    for (std::string path, key; std::getline(file, path, '\0') && std::getline(file, key, '\0');) map.pairs.emplace(path, key);
}

// Cursor and map together: a file has both of the same time, whenever the program is killed.
void save(const Map &map, const std::string &name) {
    std::ofstream file(name + ".new", std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file << map.cursor << '\0';
    for (const auto &[path, key] : map.pairs) file << path << '\0' << key << '\0';
    file.close();
    std::filesystem::rename(name + ".new", name);
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 6) return std::cerr << "feed URL TOKEN CACHE FILE SECONDS\n", 2;
    plexindex::Options options;
    options.server_url = argv[1];
    options.token = argv[2];
    options.cache_dir = argv[3];
    const auto index = plexindex::Index::open(options);
    const auto all = index.all_libraries();
    try {
        index.watch_start(); // else a change is seen when its listing expires, after an hour
    } catch (const plexindex::Error &error) {
        std::cerr << "no events: " << error.what() << '\n';
    }
    plexindex::QueryOptions wait;
    const std::chrono::seconds time(std::stoi(argv[5]));
    wait.deadline = time;
    Map map;
    load(map, argv[4]);
    const auto late = std::chrono::steady_clock::now() + time;
    for (bool goes_on = true; goes_on;) {
        try {
            all.refresh(plexindex::RefreshMode::probe); // asks whether anything changed
        } catch (const plexindex::Error &error) {
            std::cerr << error.what() << '\n'; // changes of other processes still come
        }
        try {
            update(all, map);
        } catch (const plexindex::Error &error) {
            const bool waits = std::chrono::steady_clock::now() < late;
            if (error.status() != plexindex::Status::not_fetched || !waits) throw;
            std::this_thread::sleep_for(std::chrono::seconds(1)); // nothing was fetched yet
            continue;
        }
        save(map, argv[4]);
        try {
            goes_on = time.count() > 0 && all.wait_for_changes(map.cursor, wait) == plexindex::Status::ok;
        } catch (const plexindex::Error &error) { // update() sees list_again too
            if (error.status() != plexindex::Status::list_again) throw;
        }
    }
    for (const auto &[path, key] : map.pairs) std::cout << key << '\t' << path << '\n';
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}

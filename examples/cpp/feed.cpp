// Keeps a map from files to rating keys with the feed of changes: `feed URL TOKEN CACHE FILE SECONDS`
// FILE stores the cursor and the map between runs. The program updates the map until nothing changes for SECONDS, and
// prints it. It waits up to SECONDS for the first listing. It reads JSON with nlohmann/json.
#include <nlohmann/json.hpp>
#include <plexindex.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <thread>

namespace {

using Json = nlohmann::json;

struct Map {
    std::string cursor; // the cursor of the last page; empty: list everything
    std::map<std::string, std::map<std::string, bool>> files; // {path: {rating key: true}}: a file may have several
};

// Returns a path; empty if it is absent or not UTF-8, for which the JSON has an object.
std::string path_of(const Json &change, const char *name) {
    const auto path = change.find(name);
    return path != change.end() && path->is_string() ? path->get<std::string>() : "";
}

// Applies a change, perhaps twice. Returns false for `list_again`, which names no item.
bool apply(Map &map, const Json &change) {
    if (!change.contains("item")) return false; // list_again
    const std::string key = change["item"]["rating_key"], before = change.value("from_key", key);
    const std::string path = path_of(change, "path");
    for (const std::string &old : {path, path_of(change, "from")}) {
        const auto file = map.files.find(old);
        if (file != map.files.end() && file->second.erase(before) && file->second.empty()) map.files.erase(file);
    }
    if (!path.empty() && change["change"] != "removed") map.files[path][key] = true;
    return true;
}

// Applies the changes since the cursor, or everything that is listed, page by page.
void update(const plexindex::Index &index, Map &map) {
    for (bool more = true; more;) try {
        const Json request = map.cursor.empty() ? Json{{"full", true}} : Json{{"cursor", map.cursor}};
        const Json page = Json::parse(index.call("changes.list", request.dump()).json), &changes = page["changes"];
        const auto applied = [&](const Json &change) { return apply(map, change); };
        if (std::all_of(changes.begin(), changes.end(), applied)) map.cursor = page["cursor"], more = page["more"];
        else map = {};
    } catch (const plexindex::Error &error) {
        if (error.status() != plexindex::Status::list_again) throw;
        map = {};
    }
}

void load(Map &map, const std::string &name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) return;
    const Json stored = Json::parse(file);
    stored["cursor"].get_to(map.cursor), stored["files"].get_to(map.files);
}

// Stores cursor and map together, because the program may be killed at any time.
void save(const Map &map, const std::string &name) {
    std::ofstream file(name + ".new", std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file << Json{{"cursor", map.cursor}, {"files", map.files}};
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
    try {
        index.call("watch.start"); // without events plexindex sees a change when the listing expires
    } catch (const plexindex::Error &error) {
        std::cerr << "no events: " << error.what() << '\n';
    }
    const std::chrono::seconds time(std::stoi(argv[5]));
    Map map;
    load(map, argv[4]);
    const auto late = std::chrono::steady_clock::now() + time;
    for (bool goes_on = true; goes_on;) {
        try {
            index.all_libraries().refresh(plexindex::RefreshMode::probe); // asks the server for changes
        } catch (const plexindex::Error &error) {
            std::cerr << error.what() << '\n'; // changes of other processes still arrive
        }
        try {
            update(index, map);
        } catch (const plexindex::Error &error) {
            const bool waits = std::chrono::steady_clock::now() < late;
            if (error.status() != plexindex::Status::not_fetched || !waits) throw;
            std::this_thread::sleep_for(std::chrono::seconds(1)); // nothing was fetched yet
            continue;
        }
        save(map, argv[4]);
        if (time.count() <= 0) break;
        try {
            const std::string request = Json{{"cursor", map.cursor}}.dump();
            goes_on = index.call("changes.wait", request, {time, {}}).status == plexindex::Status::ok;
        } catch (const plexindex::Error &error) { // update() sees list_again too
            if (error.status() != plexindex::Status::list_again) throw;
        }
    }
    for (const auto &[path, keys] : map.files)
        for (const auto &[key, is_there] : keys) std::cout << key << '\t' << path << '\n';
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}

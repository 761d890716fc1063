// What a C++ host does with the C header: its own types over the handles, answers in memory of the library's caller, several
// threads, errors as exceptions of the host's own. Run as the C programs are.
#include <atomic>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "plexindex.h"

namespace {

struct failure : std::runtime_error {
    int32_t status;
    explicit failure(int32_t given)
        : std::runtime_error(std::string(plexindex_status_name(given)) + ": " + plexindex_last_error_message()),
          status(given)
    {
    }
};

void check(bool holds, const std::string &what)
{
    if (!holds) {
        throw std::logic_error(what);
    }
}

void done(int32_t status)
{
    if (status != PLEXINDEX_OK) {
        throw failure(status);
    }
}

plexindex_bytes bytes_of(std::string_view text)
{
    return {text.data(), text.size()};
}

struct closes {
    void operator()(plexindex_handle *handle) const
    {
        plexindex_close(handle);
    }
};

using index_handle = std::unique_ptr<plexindex_handle, closes>;

index_handle opened(const std::string &url, const std::string &token, const std::string &folder)
{
    plexindex_options options{};
    options.size = sizeof options;
    options.cache_dir = bytes_of(folder);
    options.server_url = bytes_of(url);
    options.token = bytes_of(token);
    plexindex_handle *handle = nullptr;
    done(plexindex_open(&options, &handle));
    return index_handle(handle);
}

const plexindex_library_handle *library_of(const index_handle &index, std::string_view title)
{
    const plexindex_library_handle *library = nullptr;
    done(plexindex_library(index.get(), PLEXINDEX_SELECT_TITLE, title.data(), title.size(), &library));
    return library;
}

// Paths or keys, each followed by a NUL.
std::string joined(const std::vector<std::string> &texts)
{
    std::string all;
    for (const auto &text : texts) {
        all.append(text).push_back('\0');
    }
    return all;
}

struct found {
    int32_t status;
    int32_t rung;
    std::string key;
};

// One answer a path, in order. The block is of just the size that the call asks for: what reads beyond it is found.
std::vector<found> matched(const index_handle &index, const plexindex_library_handle *library,
                           const std::vector<std::string> &paths)
{
    const std::string text = joined(paths);
    plexindex_query query{};
    query.size = sizeof query;
    query.library = library;
    query.text = bytes_of(text);
    plexindex_buffer buffer{};
    std::unique_ptr<char[]> block;
    int32_t status;
    while ((status = plexindex_match_paths(index.get(), &query, paths.size(), &buffer)) == PLEXINDEX_BUFFER_TOO_SMALL) {
        check(buffer.length > buffer.capacity, "what is too small is enlarged");
        block.reset(new char[buffer.length]);
        buffer.data = block.get();
        buffer.capacity = buffer.length;
    }
    done(status);
    const auto *head = reinterpret_cast<const plexindex_answers *>(block.get());
    check(head->count == paths.size(), "an answer a path");
    std::vector<found> all;
    for (uint32_t nth = 0; nth < head->count; nth++) {
        const auto *answer = reinterpret_cast<const plexindex_answer *>(block.get() + head->first + nth * head->answer_size);
        std::string key;
        if (answer->item != 0) {
            const auto *item = reinterpret_cast<const plexindex_item *>(block.get() + answer->item);
            key.assign(block.get() + item->key.offset, item->key.length);
        }
        all.push_back({answer->status, answer->rung, key});
    }
    return all;
}

// Asks the harness (tests/capi_c.rs).
std::string harness(const std::string &command)
{
    std::cout << '@' << command << std::endl;
    std::string reply;
    check(static_cast<bool>(std::getline(std::cin, reply)), "the harness is gone");
    return reply;
}

// The status of a call that has to fail, with these words in its message.
template <typename Call> void refused(int32_t status, const std::string &words, Call call)
{
    try {
        call();
    } catch (const failure &error) {
        check(error.status == status && std::string(error.what()).find(words) != std::string::npos, error.what());
        return;
    }
    throw std::logic_error("no error about " + words);
}

void use(const std::string &url, const std::string &token, const std::string &folder)
{
    refused(PLEXINDEX_INVALID_ARGUMENT, "server_url", [&] { opened("no url", token, folder); });
    refused(PLEXINDEX_INVALID_ARGUMENT, "token", [&] { opened(url, "two\nlines", folder); });

    index_handle index = opened(url, token, folder);
    const auto *movies = library_of(index, "Movies");
    check(movies == library_of(index, "Movies"), "one handle for one name");

    std::vector<std::string> paths;
    std::vector<std::string> keys;
    std::vector<std::string> hosts;
    for (int nth = 0; nth < 200; nth++) {
        paths.push_back(harness("path " + std::to_string(nth)));
        keys.push_back(harness("key " + std::to_string(nth)));
        hosts.push_back("/host/" + std::to_string(nth) + ".mkv");
    }
    auto answers = matched(index, movies, paths);
    for (size_t nth = 0; nth < paths.size(); nth++) {
        check(answers[nth].status == PLEXINDEX_OK && answers[nth].key == keys[nth], paths[nth]);
        const char *key = plexindex_lookup_key(movies, paths[nth].c_str());
        check(key != nullptr && key == keys[nth], "the fast lookup of " + paths[nth]);
    }
    check(matched(index, movies, {}).empty(), "an empty batch is a batch");
    check(matched(index, movies, {"/data/movies/not there.mkv"})[0].status == PLEXINDEX_NOT_FOUND, "what is not there");

    const std::string own = joined(hosts);
    const std::string theirs = joined(keys);
    done(plexindex_record_matches(movies, own.data(), own.size(), theirs.data(), theirs.size(), hosts.size()));
    refused(PLEXINDEX_INVALID_ARGUMENT, "NUL", [&] {
        done(plexindex_record_matches(movies, own.data(), own.size() - 1, theirs.data(), theirs.size(), hosts.size()));
    });

    // Several threads read while one records.
    std::atomic<size_t> wrong{0};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 4; reader++) {
        readers.emplace_back([&] {
            auto confirmed = matched(index, movies, hosts);
            for (size_t nth = 0; nth < hosts.size(); nth++) {
                wrong += confirmed[nth].rung != PLEXINDEX_RUNG_CONFIRMED || confirmed[nth].key != keys[nth];
                const char *key = plexindex_lookup_key(movies, hosts[nth].c_str());
                wrong += key != nullptr && key != keys[nth];
            }
        });
    }
    for (const auto &host : hosts) {
        const std::string path = host + ".copy";
        done(plexindex_record_match(movies, path.data(), path.size(), keys[0].data(), keys[0].size()));
    }
    for (auto &reader : readers) {
        reader.join();
    }
    check(wrong == 0, std::to_string(wrong) + " wrong answers");

    done(plexindex_invalidate_path(movies, hosts[0].data(), hosts[0].size()));
    check(plexindex_lookup_key(movies, hosts[0].c_str()) == nullptr, "what was invalidated");

    refused(PLEXINDEX_LIBRARY_NOT_FOUND, "None", [&] { matched(index, library_of(index, "None"), paths); });
    refused(PLEXINDEX_NULL_POINTER, "handle", [&] { done(plexindex_watch_start(nullptr)); });
}

} // namespace

int main(int argc, char **argv)
{
    try {
        check(argc >= 4, "usage: URL TOKEN FOLDER (run by tests/capi_c.rs)");
        use(argv[1], argv[2], argv[3]);
    } catch (const std::exception &error) {
        std::cerr << "cpp.cpp: " << error.what() << '\n';
        return 1;
    }
    return 0;
}

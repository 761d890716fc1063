// Finds the items of the files below a folder: `batch URL TOKEN CACHE LIBRARY DIRECTORY`
#include <plexindex.hpp>

#include <filesystem>
#include <iostream>
#include <string_view>
#include <vector>

int main(int argc, char **argv) try {
    if (argc != 6) return std::cerr << "batch URL TOKEN CACHE LIBRARY DIRECTORY\n", 2;
    plexindex::Options options;
    options.server_url = argv[1];
    options.token = argv[2];
    options.cache_dir = argv[3];
    const auto index = plexindex::Index::open(options);
    const auto library = index.library(argv[4]);

    std::vector<std::filesystem::path> files;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(argv[5]))
        if (entry.is_regular_file()) files.push_back(entry.path());
    plexindex::QueryOptions query;
    query.progress = [](const plexindex::Progress &progress) {
        if (progress.total > 0)
            std::cerr << progress.library << ": " << progress.items << " of " << progress.total << '\n';
        return true; // false ends the call
    };
    const auto matches = library.match_paths(files, query);
    for (std::size_t i = 0; i < files.size(); ++i) {
        const std::string_view word = matches[i] ? "sure" : "not sure";
        std::cout << word << "  " << files[i].string() << '\n';
        for (const auto &candidate : matches[i].candidates())
            std::cout << "  " << candidate.key() << ' ' << candidate.title() << '\n';
    }
} catch (const plexindex::Error &error) {
    std::cerr << plexindex::status_name(error.status()) << ": " << error.what() << '\n';
    return 1;
} catch (const std::filesystem::filesystem_error &error) {
    std::cerr << error.path1().string() << ": " << error.code().message() << '\n';
    return 1;
}

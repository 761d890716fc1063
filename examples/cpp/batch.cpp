// Which items are the files below a folder? Errors are values here. `batch URL TOKEN CACHE LIBRARY DIRECTORY`
#include <plexindex.hpp>

#include <filesystem>
#include <iostream>
#include <vector>

namespace {

int failed(const plexindex::Error &error) {
    std::cerr << plexindex::status_name(error.status()) << ": " << error.what() << '\n';
    return 1;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 6) return std::cerr << "batch URL TOKEN CACHE LIBRARY DIRECTORY\n", 2;
    plexindex::Options options;
    options.server_url = argv[1];
    options.token = argv[2];
    options.cache_dir = argv[3];
    const auto index = plexindex::results::Index::open(options);
    if (!index) return failed(index.error());
    const auto library = index->library(argv[4]);
    if (!library) return failed(library.error());

    std::vector<std::filesystem::path> files;
    std::error_code unread;
    const auto walk = std::filesystem::directory_options::skip_permission_denied;
    std::filesystem::recursive_directory_iterator entry(argv[5], walk, unread), end;
    for (; !unread && entry != end; entry.increment(unread)) {
        std::error_code gone; // then it is no file
        if (entry->is_regular_file(gone)) files.push_back(entry->path());
    }
    if (unread) {
        std::cerr << argv[5] << ": " << unread.message() << '\n';
        return 1;
    }
    plexindex::QueryOptions query;
    query.progress = [](const plexindex::Progress &progress) {
        if (progress.total > 0) {
            std::cerr << progress.library << ": " << progress.items << " of " << progress.total << '\n';
        }
        return true; // false ends the call
    };
    const auto answers = library->match_paths(files, query);
    if (!answers) return failed(answers.error());
    for (std::size_t i = 0; i < files.size(); ++i) {
        const auto answer = (*answers)[i];
        std::cout << plexindex::status_name(answer.status()) << "  " << files[i].string() << '\n';
        for (const auto candidate : answer.candidates()) {
            std::cout << "  " << candidate.key() << ' ' << candidate.title() << '\n';
        }
    }
}

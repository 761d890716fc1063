// Which items are the files below a folder? Errors are values here. `batch URL TOKEN FOLDER LIBRARY DIRECTORY`
#include <plexindex.hpp>

#include <filesystem>
#include <iostream>

namespace {

int failed(const plexindex::Error &error) {
    std::cerr << plexindex::status_name(error.status()) << ": " << error.what() << '\n';
    return 1;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    plexindex::Options options;
    options.server_url = argv[1];
    options.token = argv[2];
    options.cache_dir = argv[3];
    const auto index = plexindex::results::Index::open(options);
    if (!index) return failed(index.error());
    const auto library = index->library(argv[4]);
    if (!library) return failed(library.error());

    plexindex::Paths paths;
    std::error_code unreadable; // what cannot be read is left out
    for (std::filesystem::recursive_directory_iterator entry(argv[5], unreadable), end; entry != end; ++entry) {
        if (entry->is_regular_file(unreadable)) paths.add(entry->path());
    }
    plexindex::Ask ask;
    ask.progress = [](const plexindex::Progress &progress) {
        if (progress.total > 0) {
            std::cerr << progress.library << ": " << progress.items << " of " << progress.total << '\n';
        }
        return true; // false ends the call
    };
    const auto answers = library->match_paths(paths, ask);
    if (!answers) return failed(answers.error());
    for (const auto answer : *answers) {
        std::cout << plexindex::status_name(answer.status());
        for (const auto candidate : answer.candidates()) std::cout << "  " << candidate.key() << ' ' << candidate.title();
        std::cout << '\n';
    }
}

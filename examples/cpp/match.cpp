// Finds the item of a file: `match URL TOKEN CACHE LIBRARY FILE`
#include <plexindex.hpp>

#include <iostream>

int main(int argc, char **argv) try {
    if (argc != 6) return std::cerr << "match URL TOKEN CACHE LIBRARY FILE\n", 2;
    plexindex::Options options;
    options.server_url = argv[1];
    options.token = argv[2];
    options.cache_dir = argv[3]; // creates the folder, and sends no request
    const auto index = plexindex::Index::open(options);
    const auto movies = index.library(argv[4]);
    const auto match = movies.match(argv[5]); // fetches the library if necessary
    if (const auto item = match.sure()) {
        std::cout << item->key() << ": " << item->title() << '\n';
    } else {
        std::cout << "not sure, " << plexindex::status_name(match.status()) << ": " << match.message() << '\n';
        for (const auto &candidate : match.candidates()) std::cout << "  " << candidate.path() << '\n';
    }
} catch (const plexindex::Error &error) {
    std::cerr << plexindex::status_name(error.status()) << ": " << error.what() << '\n';
    return 1;
}

// bench/languages/README.md
#include <plexindex.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    plexindex::Options options;
    options.cache_dir = argv[1];
    options.mappings = {{argv[2], argv[3]}};
    options.server_url = std::getenv("PLEX_URL");
    options.token = std::getenv("PLEX_TOKEN");
    const auto index = plexindex::Index::open(options);
    const auto movies = index.library("Movies");
    std::vector<std::pair<std::string, std::string>> pairs;
    std::ifstream file(argv[4]);
    for (std::string path, key; std::getline(file, path, '\t') && std::getline(file, key);) pairs.emplace_back(path, key);
    std::mt19937_64 random(1);
    std::printf("[");
    for (int round = -1; round < std::atoi(argv[5]); round++) {
        std::shuffle(pairs.begin(), pairs.end(), random);
        std::size_t wrong = 0;
        const auto begun = std::chrono::steady_clock::now();
        for (const auto &[path, key] : pairs) wrong += movies.lookup_key(path) != key;
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
        if (wrong > 0) return std::fprintf(stderr, "%zu answers are wrong\n", wrong), 1;
        if (round >= 0) std::printf("%s%.2f", round > 0 ? "," : "", took.count() / static_cast<double>(pairs.size()));
    }
    std::printf("]\n");
}

// A host that is compiled without exceptions: errors are values, and there is no other way.
#include <plexindex.hpp>

#include "../c/check.h"

namespace px = plexindex::results;
using plexindex::Status;

int main(int argc, char **argv) {
    const setting setting = setting_of(argc, argv);
    plexindex::Options options;
    CHECK(px::Index::open(options).error().status() == Status::invalid_argument);
    options.cache_dir = setting.folder;
    options.server_url = setting.url;
    options.token = setting.token;
    plexindex::Result<px::Index> index = px::Index::open(options);
    CHECK(index && index->is_open());
    const auto movies = index->library("Movies");
    CHECK(movies);
    plexindex::Ask ask;
    int calls = 0;
    ask.progress = [&](const plexindex::Progress &) { return ++calls > 0; };
    const auto match = movies->match("/data/movies/Exact (2001)/Exact (2001).mkv", ask);
    CHECK(match && *match && match->item()->title() == "Exact");
    const auto refused = movies->match("");
    CHECK(!refused && std::strstr(refused.error().what(), "path") != nullptr);
    const auto pages = movies->pages(0).next();
    CHECK(!pages.has_value() && pages.error().status() == Status::invalid_argument);
    plexindex::drain_log([](plexindex::LogLevel, std::string_view) {});
    CHECK(index->close());
    return 0;
}

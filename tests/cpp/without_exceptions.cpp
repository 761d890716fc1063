// A host that is compiled without exceptions: errors are values.
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
    plexindex::QueryOptions ask;
    int calls = 0;
    ask.progress = [&](const plexindex::Progress &) { return ++calls > 0; };
    const auto match = movies->match("/data/movies/Exact (2001)/Exact (2001).mkv", ask);
    CHECK(match && *match && match->item()->title() == "Exact");
    const auto refused = movies->match("");
    CHECK(!refused && std::strstr(refused.error().what(), "path") != nullptr);
    int items = 0, errors = 0;
    for (const auto &item : movies->list_items()) items += item.has_value() ? 1 : 0;
    for (const auto &item : movies->list_items(0)) errors += item ? 0 : 1;
    CHECK(items == 1203 && errors == 1);
    auto stream = movies->list_items();
    const auto taken = std::move(stream);
    for (const auto &item : stream) {
        CHECK(!item && item.error().status() == Status::null_pointer);
        ++errors;
    }
    CHECK(errors == 2 && movies->match(refused ? "" : "/else/twin.mkv")->candidates().size() == 2);
    const auto details = movies->item("900001");
    CHECK(details && details->has_value() && (*details)->paths.size() == 2);
    plexindex::drain_log([](plexindex::LogLevel, std::string_view) {});
    CHECK(index->close());
    return 0;
}

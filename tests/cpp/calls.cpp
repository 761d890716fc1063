// The C++ binding: every call of it, as a host makes it; and what a host does wrong.
#include <plexindex.hpp>

#include "../c/check.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <list>
#include <new>
#include <thread>

namespace px = plexindex;
using namespace std::literals;

namespace {

std::atomic<long> allocations{0};

} // namespace

// Counted: the binding promises where it allocates.
void *operator new(std::size_t size) {
    ++allocations;
    if (void *place = std::malloc(size == 0 ? 1 : size)) return place;
    throw std::bad_alloc();
}
void *operator new[](std::size_t size) { return operator new(size); }
void operator delete(void *place) noexcept { std::free(place); }
void operator delete(void *place, std::size_t) noexcept { std::free(place); }
void operator delete[](void *place) noexcept { std::free(place); }
void operator delete[](void *place, std::size_t) noexcept { std::free(place); }

// What does not compile.
static_assert(!std::is_copy_constructible_v<px::Index> && !std::is_copy_assignable_v<px::Index>);
static_assert(!std::is_copy_constructible_v<px::Match> && !std::is_copy_constructible_v<px::Block>);
static_assert(!std::is_copy_constructible_v<px::Keys>);
static_assert(std::is_nothrow_move_constructible_v<px::Index> && std::is_nothrow_move_assignable_v<px::Index>);
static_assert(std::is_nothrow_move_constructible_v<px::Match> && std::is_nothrow_move_assignable_v<px::Match>);
static_assert(std::is_nothrow_move_constructible_v<px::Library> && std::is_copy_constructible_v<px::Library>);
static_assert(!std::is_default_constructible_v<px::Index>);
static_assert(!std::is_constructible_v<px::PathRef, std::nullptr_t> && !std::is_constructible_v<px::PathRef, int>);
static_assert(!std::is_constructible_v<px::PathRef, bool> && !std::is_constructible_v<px::PathRef, char>);
static_assert(!std::is_convertible_v<px::Status, bool> && !std::is_convertible_v<px::Match, bool>);
static_assert(!std::is_convertible_v<px::Match, int> && !std::is_convertible_v<px::Result<int>, bool>);
static_assert(!std::is_constructible_v<bool, px::Result<bool>>);
static_assert(std::is_constructible_v<bool, px::Result<int>>);
// A range of paths is one of texts or paths: no text, and no path, which is a range of its own parts.
static_assert(std::is_convertible_v<std::vector<std::string> &, px::Paths>);
static_assert(std::is_convertible_v<std::list<std::filesystem::path>, px::Paths>);
static_assert(!std::is_convertible_v<std::string, px::Paths> && !std::is_convertible_v<const char *, px::Paths>);
static_assert(!std::is_convertible_v<std::filesystem::path &, px::Paths>);
static_assert(!std::is_convertible_v<std::vector<int> &, px::Paths>);
static_assert(std::is_same_v<std::iterator_traits<px::Candidates::iterator>::value_type, px::Item>);
#if defined(__cpp_lib_ranges)
static_assert(std::ranges::random_access_range<const px::Candidates> && std::ranges::sized_range<const px::Candidates>);
static_assert(std::ranges::view<px::Candidates> && std::ranges::borrowed_range<px::Candidates>);
static_assert(std::ranges::random_access_range<const px::Block> && std::ranges::forward_range<const px::Keys>);
#endif

// A text of a result that is not kept would be read when its memory is gone.
template <class T, class = void> struct tells : std::false_type {};
template <class T> struct tells<T, std::enable_if_t<!std::is_void_v<decltype(std::declval<T>().message())>>> : std::true_type {};
static_assert(tells<px::Match &>::value && tells<const px::Match &>::value && !tells<px::Match>::value);

namespace {

// The error of a call that fails.
template <class Call> px::Error error_of(Call call) {
    try {
        call();
    } catch (const px::Error &error) {
        return error;
    }
    FAIL("a call does not fail");
    std::abort();
}

template <class Call> void refused(px::Status status, const char *word, Call call) {
    const px::Error error = error_of(call);
    if (error.status() != status || std::strstr(error.what(), word) == nullptr) {
        FAIL("%s: %s", px::status_name(error.status()), error.what());
    }
}

px::Options options_for(const setting &setting) {
    px::Options options;
    options.cache_dir = setting.folder;
    options.server_url = setting.url;
    options.token = setting.token;
    return options;
}

const char exact[] = "/data/movies/Exact (2001)/Exact (2001).mkv";
const char twin[] = "/somewhere/else/twin.mkv";

void answers(const px::Library &movies) {
    const px::Match match = movies.match(exact);
    CHECK(match && match.status() == px::Status::ok);
    CHECK(match.rung() == px::Rung::exact && match.confidence() == px::Confidence::high);
    CHECK(match.reason() == px::Reason::none && match.message().empty());
    const std::optional<px::Item> item = match.item();
    CHECK(item && item->key() == "/library/metadata/900001" && item->rating_key() == "900001");
    CHECK(item->title() == "Exact" && item->year() == 2001 && item->kind() == 1 && item->path() == exact);
    CHECK(item->guid() == "plex://movie/000000000000000000000001" && item->section() == "1");
    CHECK(item->library_title() == "Movies" && !item->season() && !item->episode() && item->show_title().empty());
    CHECK(item->show_rating_key().empty() && item->show_guid().empty() && item->path_is_utf8() && !item->is_key_only());
    CHECK(match.answer().age() && !match.answer().is_stale() && match.answer().candidates_total() == 1);

    const px::Match several = movies.match(twin);
    CHECK(!several && several.status() == px::Status::ambiguous && !several.item());
    CHECK(several.reason() == px::Reason::several_items && several.message().find("2 items") != std::string_view::npos);
    std::vector<std::string> titles;
    for (const px::Item candidate : several.candidates()) titles.emplace_back(candidate.title());
    std::sort(titles.begin(), titles.end());
    CHECK((titles == std::vector<std::string>{"Twin A", "Twin B"}));
    const px::Candidates range = several.candidates();
    CHECK(range.size() == 2 && range.end() - range.begin() == 2 && range.begin()[1].title() == range[1].title());
    CHECK(std::any_of(range.begin(), range.end(), [](px::Item one) { return one.title() == "Twin B"; }));
    CHECK(range.begin()->title() == range[0].title());
    CHECK(range[2].title().empty() && range[std::size_t(-1)].key().empty());

    const px::Match none = movies.match("/data/movies/New.mkv"sv);
    CHECK(none.status() == px::Status::not_found && none.reason() == px::Reason::not_listed && !none.message().empty());
    const px::Match by_guid = movies.match_guid("imdb://tt0000001");
    CHECK(by_guid.item()->title() == "Exact");
    CHECK(movies.search_title("exact").status() != px::Status::not_found);
}

// Any text, and paths.
void inputs(const px::Library &movies) {
    const std::string text = exact;
    const std::filesystem::path path = exact;
    const std::string longer = text + "and more";
    CHECK(movies.match(text) && movies.match(path) && movies.match(std::string_view(longer).substr(0, text.size())));
    CHECK(movies.lookup_key(exact) == "/library/metadata/900001");
    CHECK(movies.lookup_key(text) == "/library/metadata/900001" && movies.lookup_key(path) == "/library/metadata/900001");
    CHECK(movies.lookup_key(std::string_view(longer).substr(0, text.size())) == "/library/metadata/900001");
    CHECK(movies.lookup_key(std::string_view(longer)).empty() && movies.lookup_key(""sv).empty());
    CHECK(movies.lookup_key(text + '\0').empty() && movies.lookup_key(std::string_view(exact, sizeof exact)).empty());
    CHECK(movies.lookup_key(std::string_view(std::string(4095, 'x'))).empty());
    CHECK(movies.lookup_key(std::string_view(std::string(4096, 'x'))).empty());
    CHECK(movies.lookup_key(std::string_view()).empty() && movies.lookup_key(static_cast<const char *>(nullptr)).empty());
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(""); });
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(text + '\0'); });
    refused(px::Status::invalid_argument, "count", [&] { return movies.match_paths({exact, std::string_view("a\0b", 3)}); });
}

void batches(const px::Library &movies) {
    const std::vector<std::string> strings{exact, twin, "/data/movies/New.mkv"};
    const std::list<std::filesystem::path> paths(strings.begin(), strings.end());
    const std::array<std::string_view, 3> views{strings[0], strings[1], strings[2]};
    px::Block block = movies.match_paths(strings);
    for (int round = 0; round < 4; ++round) {
        CHECK(block.size() == 3 && !block.empty());
        CHECK(block[0].status() == px::Status::ok && block[0].item()->title() == "Exact");
        CHECK(block[1].status() == px::Status::ambiguous && block[1].candidates().size() == 2);
        CHECK(block[2].status() == px::Status::not_found && block[3].status() == px::Status::not_found);
        std::size_t found = 0;
        for (const px::Answer answer : block) found += answer ? 1 : 0;
        CHECK(found == 1);
        switch (round) {
        case 0: block = movies.match_paths(paths); break;
        case 1: movies.match_paths_into(block, views); break;
        default: block = movies.match_paths({exact, std::filesystem::path(twin), strings[2]});
        }
    }
    CHECK(movies.match_paths({}).empty());
#if defined(__cpp_lib_ranges) && !defined(__clang__)
    // A view that can be read only as it is, not as const.
    const auto long_ones = strings | std::views::filter([](const std::string &path) { return path.size() > 25; });
    auto readable = long_ones;
    CHECK(movies.match_paths(readable).size() == 1 && movies.lookup_key(readable.front()) != "");
    const auto found = block | std::views::filter([](const px::Answer &answer) { return bool(answer); });
    auto readable_answers = found;
    CHECK(std::ranges::distance(readable_answers) == 1);
#endif
    const px::Keys keys = movies.lookup_keys(strings);
    const std::vector<std::string_view> all(keys.begin(), keys.end());
    CHECK(all.size() == 3 && all[0] == "/library/metadata/900001" && all[1].empty() && all[2].empty());
    std::size_t count = 0;
    for (const px::Answer answer : movies.match_paths(views)) count += answer.candidates().size();
    CHECK(count == 3);
}

// A result that has memory is filled anew without an allocation, and what its calls need is on the stack.
void memory(const px::Library &movies) {
    px::Match match = movies.match(twin);
    px::Block block = movies.match_paths({exact, twin});
    px::Keys keys = movies.lookup_keys({exact, twin});
    std::string key = movies.lookup_key(exact);
    const px::Paths paths{exact, twin};
    const std::string_view view(exact);
    const px::Ask offline{{}, false, true, {}};
    const long before = allocations;
    CHECK(movies.match_into(match, exact) == px::Status::ok && match.item()->title() == "Exact");
    CHECK(movies.match_into(match, view, offline) == px::Status::ok);
    movies.match_paths_into(block, paths);
    movies.lookup_keys_into(keys, paths);
    CHECK(!movies.lookup_key_into(key, "/nowhere") && key.empty());
    CHECK(movies.lookup_key_into(key, view) && key == "/library/metadata/900001");
    for (const px::Item candidate : block[1].candidates()) CHECK(!candidate.title().empty());
    CHECK(allocations == before);
    px::Match fresh = movies.match(exact);
    CHECK(allocations == before + 1);
    // A call that fails leaves nothing of the result before.
    try {
        movies.match_into(match, "");
        FAIL("an empty path is a path");
    } catch (const px::Error &) {
    }
    CHECK(match.status() == px::Status::not_found && match.candidates().empty());
}

// What is moved from is empty, and a move keeps views.
void moves(const setting &setting) {
    px::Index index = px::Index::open(options_for(setting));
    px::Library movies = index.library("Movies");
    px::Match match = movies.match(twin);
    const px::Candidates views = match.candidates();
    px::Match moved = std::move(match);
    CHECK(views[0].title().substr(0, 5) == "Twin " && moved.candidates().size() == 2);
    CHECK(match.status() == px::Status::not_found && match.candidates().empty() && match.message().empty());
    CHECK(!match.item() && match.log_lines() == 0);
    px::Match &same = moved;
    moved = std::move(same);
    CHECK(moved.candidates().size() == 2);
    CHECK(movies.match_into(match, exact) == px::Status::ok);

    px::Block block = movies.match_paths({exact});
    px::Block other = std::move(block);
    CHECK(block.empty() && block.begin() == block.end() && block[0].status() == px::Status::not_found && other.size() == 1);
    px::Keys keys = movies.lookup_keys({exact});
    px::Keys other_keys = std::move(keys);
    CHECK(keys.begin() == keys.end() && *other_keys.begin() == "/library/metadata/900001");
    px::Paths paths{exact};
    px::Paths other_paths = std::move(paths);
    CHECK(paths.size() == 0 && paths.text().empty() && other_paths.size() == 1 && movies.match_paths(paths).empty());

    px::Library elsewhere = std::move(movies);
    CHECK(movies.lookup_key(exact).empty());
    refused(px::Status::null_pointer, "handle", [&] { return movies.match(exact); });
    refused(px::Status::null_pointer, "the index is closed", [&] { return movies.match(exact); });
    refused(px::Status::null_pointer, "library", [&] { movies.invalidate(); });
    movies = elsewhere;
    CHECK(movies.lookup_key(exact) == elsewhere.lookup_key(exact));

    px::Index new_index = std::move(index);
    CHECK(!index.is_open() && new_index.is_open());
    refused(px::Status::null_pointer, "handle", [&] { return index.library("Movies"); });
    refused(px::Status::null_pointer, "moved from", [&] { return index.stats(); });
    index.close();
    px::Index &same_index = new_index;
    new_index = std::move(same_index);
    CHECK(new_index.is_open() && elsewhere.match(exact));
    // The index before is closed, but a library of it keeps it open.
    new_index = px::Index::open(options_for(setting));
    CHECK(elsewhere.match(exact) && new_index.library("Movies").match(exact));
}

// Results outlive the index; a library keeps it, unless it is closed.
void lifetimes(const setting &setting) {
    std::optional<px::Library> library;
    std::optional<px::Table> table;
    std::optional<px::Pages> pages;
    px::Match match;
    px::Block block;
    CHECK(match.status() == px::Status::not_found && match.candidates().empty() && block.empty());
    {
        px::Index index = px::Index::open(options_for(setting));
        library = index.library("Movies");
        match = library->match(twin);
        block = library->match_paths({exact});
    }
    CHECK(library->match(exact).status() == px::Status::ok);
    library.reset();
    CHECK(match.candidates()[1].title().substr(0, 5) == "Twin " && block[0].item()->title() == "Exact");
    px::Index index = px::Index::open(options_for(setting));
    library = index.library("Movies");
    table = index.table("t");
    pages = library->pages(10);
    CHECK(pages->next());
    index.close();
    index.close();
    CHECK(!index.is_open() && library->lookup_key(exact).empty() && !table->lookup("a"));
    refused(px::Status::null_pointer, "NULL", [&] { return library->match(exact); });
    refused(px::Status::null_pointer, "NULL", [&] { return library->lookup_keys({exact}); });
    refused(px::Status::null_pointer, "NULL", [&] { return table->count(); });
    refused(px::Status::null_pointer, "NULL", [&] { return pages->next(); });
    refused(px::Status::null_pointer, "NULL", [&] { index.write(px::Write().put(*table, "a", "b"), 0ms, 1000); });
}

// Each call's error has its own text, on any thread; as an exception and as a value.
void errors(const px::Index &index, const setting &setting) {
    const px::results::Index other = px::results::Index::open(options_for(setting)).value();
    const px::results::Library of_other = other.library("Movies").value();
    std::vector<std::thread> threads;
    std::array<std::string, 100> texts;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        threads.emplace_back([&, i] {
            const std::string name = "no/such/" + std::to_string(i) + "!";
            if (i % 2 == 0) {
                const px::Library movies = index.library("Movies");
                texts[i] = error_of([&] { movies.invalidate_item(name); }).what();
            } else {
                const px::Result<void> outcome = of_other.invalidate_item(name);
                CHECK(!outcome && outcome.error().status() == px::Status::invalid_argument);
                texts[i] = outcome.error().what();
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(texts[i].find("'no/such/" + std::to_string(i) + "!'") != std::string::npos);
    }

    refused(px::Status::invalid_argument, "cache_dir", [] { return px::Index::open({}); });
    const auto failed = px::results::Index::open({});
    CHECK(!failed && failed.error().status() == px::Status::invalid_argument && px::is_error(failed.error().status()));
    CHECK(std::strcmp(failed.error().what(), px::last_error_message()) == 0);
    px::Result<px::Match> match = of_other.match(exact);
    CHECK(match && *match && match->item()->title() == "Exact");
    const px::Match taken = *std::move(match);
    CHECK(taken.item()->title() == "Exact");
    const px::Result<bool> missing = other.table("t").value().contains("nothing");
    CHECK(missing.has_value() && !missing.value());
    // A text that is longer than its room ends in `…`.
    const std::string longest = error_of([&] { static_cast<void>(index.library(std::string(2100, '/')).match(exact)); }).what();
    CHECK(longest.size() > 1000 && longest.substr(longest.size() - 3) == "…");
}

struct Thrown {
    int number;
};

// Progress; what it throws passes through the library, and leaves the index as it was.
void callbacks(const px::Index &index) {
    const px::Library slow = index.library("Slow");
    px::Ask ask;
    long calls = 0;
    ask.progress = [&](const px::Progress &progress) {
        CHECK(progress.items <= progress.total || progress.total == 0);
        ++calls;
        return false;
    };
    harness("fault {\"kind\":\"listing\",\"count\":0,\"action\":\"delay\",\"ms\":400}");
    refused(px::Status::aborted, "stopped", [&] { return slow.match("/data/slow/x.mkv", ask); });
    CHECK(calls == 1);
    ask.progress = [](const px::Progress &) -> bool { throw Thrown{7}; };
    for (int round = 0; round < 3; ++round) {
        px::Match match;
        try {
            switch (round) {
            case 0: slow.match_into(match, "/data/slow/x.mkv", ask); break;
            case 1: slow.refresh(ask, true); break;
            default: static_cast<void>(slow.match_paths({"/data/slow/x.mkv"}, ask));
            }
            FAIL("it is not thrown");
        } catch (const Thrown &thrown) {
            CHECK(thrown.number == 7);
        }
        CHECK(match.status() == px::Status::not_found);
    }
    harness("heal");
    CHECK(slow.match("/data/slow/x.mkv").status() == px::Status::not_found);
    // A deadline that has passed is a short one, not none.
    ask = {};
    ask.deadline = -5ms;
    CHECK(slow.match("/data/slow/x.mkv", ask).status() == px::Status::not_found);
}

void writes(const px::Index &index, const px::Library &movies) {
    movies.record_match("/host/a.mkv", "900002");
    CHECK(movies.lookup_key("/host/a.mkv") == "/library/metadata/900002");
    CHECK(movies.match("/host/a.mkv").rung() == px::Rung::confirmed);
    movies.record_matches({"/host/b.mkv", "/host/c.mkv"}, {"900002", "900003"});
    CHECK(movies.lookup_key("/host/c.mkv") == "/library/metadata/900003");
    // A key stays what it is, whatever is looked up next.
    const auto one = movies.lookup_key("/host/b.mkv"), other = movies.lookup_key("/host/c.mkv");
    CHECK(one == "/library/metadata/900002" && other == "/library/metadata/900003");
    CHECK(movies.lookup_key("/host/b.mkv") != movies.lookup_key("/host/c.mkv"));
    refused(px::Status::invalid_argument, "keys", [&] { movies.record_matches({"/a"}, {"1", "2"}); });
    movies.invalidate_path("/host/a.mkv");
    movies.invalidate_item("900003");
    CHECK(movies.lookup_key("/host/c.mkv").empty());
    CHECK(movies.refresh() == px::Status::ok && movies.refresh({}, true) == px::Status::ok);
    CHECK(movies.check() == px::Status::ok);
    movies.invalidate();
    index.invalidate_all();
    CHECK(movies.match(exact));
    px::EditReport report;
    movies.edit_items(px::Edit().item("900002").item("900003").set("title", "Twin").add("genre", "A").remove("genre", "B"),
                      &report);
    CHECK(report.done == 2 && report.requests == 1 && report.states.size() == 2);
    CHECK(report.states[1] == px::EditReport::State::done);
    refused(px::Status::not_on_server, "77", [&] { movies.edit_items(px::Edit().item("77").touch("title"), &report); });
    CHECK(report.done == 0 && report.states[0] == px::EditReport::State::missing);
    refused(px::Status::invalid_argument, "fields", [&] { movies.edit_items(px::Edit()); });
    index.notify(R"({"event": "library.new", "Metadata": {"librarySectionID": 1}})");
    index.watch_start();
    index.watch_stop();
    index.clear();
    CHECK(movies.lookup_key("/host/b.mkv").empty() && movies.match(exact));
}

void tables(const px::Index &index) {
    const px::Table table = index.table("films");
    const std::string value(5000, 'v');
    CHECK(!table.get("a") && !table.contains("a"));
    table.put("a", "one", px::ttl_never, 1 << 20);
    table.put("b", value, 0ms, 1 << 20);
    CHECK(table.get("a") == "one" && table.lookup("a") == "one"sv && !table.lookup("b") && table.get("b") == value && table.contains("a"));
    table.put("d", "four", px::ttl_never, 1 << 20);
    CHECK(table.get("d") == "four");
    const auto one = table.lookup("a"), four = table.lookup("d");
    CHECK(one == "one"sv && four == "four"sv);
    table.remove("d");
    std::string into;
    CHECK(table.lookup_into(into, "a") && into == "one" && !table.lookup_into(into, "e") && into.empty());
    CHECK(table.get_into(into, "b") && into == value && !table.get_into(into, "c") && into.empty());
    CHECK(table.next() == "a" && table.next("a") == "b" && !table.next("b"));
    index.write(px::Write().put(table, "c", "three").remove(table, "a"), px::ttl_never, 1 << 20);
    CHECK(table.count() == 2 && index.all_tables().count() == 2 && !table.contains("a"));
    index.write(px::Write().clear(table), px::ttl_never, 1 << 20);
    table.put("a"s, std::string_view("x\0y", 3), px::ttl_never, 1 << 20);
    CHECK(table.get("a") == std::string("x\0y", 3) && !table.lookup("a"));
    table.remove("a");
    table.clear();
    CHECK(table.count() == 0);
    const px::Table folding = index.table("folding", true);
    folding.put("ABC", "x", px::ttl_never, 1 << 20);
    CHECK(folding.get("abc") == "x");
    refused(px::Status::invalid_argument, "all", [&] { return index.all_tables().get("a"); });
    // An empty name is no name for all tables, whatever text it is.
    const std::uint64_t before = index.all_tables().count();
    index.table(std::string_view()).clear();
    CHECK(before > 0 && index.all_tables().count() == before && index.table("").count() == 0);
}

void facts(const px::Index &index, const px::Library &movies) {
    px::Pages pages = movies.pages(500);
    std::size_t items = 0;
    while (pages.next()) {
        for (const px::Item item : pages.items()) items += item.key().empty() ? 0 : 1;
    }
    CHECK(items == 1203 && pages.items().empty());
    const px::Match film = movies.folder("/data/movies/Exact (2001)/");
    CHECK(film && film.answer().items() == 1 && film.answer().files() == 2 && film.answer().kind() == 1);
    const px::Match season = index.all().folder("/data/tv/The Show");
    CHECK(season && season.answer().kind() == 3 && season.item()->season() == 2 && season.item()->kind() == 3);
    CHECK(season.item()->title() == "Season 2" && season.item()->show_title() == "The Show");
    const px::Match root = movies.folder("/data/movies");
    CHECK(!root && root.answer().candidates_total() == 1203 && root.answer().reason() == px::Reason::several_items);
    px::PagesBelow below = movies.pages_below("/data/movies", 500);
    std::size_t files = 0;
    while (below.next()) files += below.items().size();
    CHECK(files == 1204 && below.items().empty());
    px::PagesBelow gone = movies.pages_not_on_disk("/data/movies/Exact (2001)");
    CHECK(gone.next() && gone.items().size() == 2 && !gone.next());
    std::uint64_t media = 1;
    CHECK(movies.walk({"folder", "/nowhere/at/all"}, media).empty() && media == 0);
    refused(px::Status::invalid_argument, "'x'", [&] { (void)movies.walk({"x", "/"}, media); });
    const std::string now = index.all().changes_json();
    const std::size_t begin = now.find("\"token\":\"") + 9;
    const std::string token = now.substr(begin, now.find('"', begin) - begin);
    CHECK(now.find("\"change\"") == std::string::npos && index.all().changes_json(token, 1).find(token) != std::string::npos);
    CHECK(movies.changes_json({}, 10, true).find("\"change\":\"added\"") != std::string::npos);
    px::Ask moment;
    moment.deadline = 1ms;
    moment.offline = true;
    CHECK(index.all().wait_for_changes(token, moment) == px::Status::not_yet);
    index.wake_waiting();
    refused(px::Status::invalid_argument, "banana", [&] { (void)movies.changes_json("banana"); });
    refused(px::Status::list_again, "again", [&] { (void)movies.changes_json("c1.1.1.0.1.0.0"); });
    CHECK(movies.item_json("900001").find("tmdb://1") != std::string::npos && movies.item_json("4").empty());
    CHECK(index.stats().size == sizeof(px::Statistics) && index.stats().items >= 1203);
    CHECK(index.stats_json()[0] == '{' && index.libraries_json()[0] == '[' && index.server_json()[0] == '{');
    CHECK(index.store_json()[0] == '{' && index.proposals_json()[0] == '[');
    CHECK(index.all().match(exact) && index.library("1", px::Select::section).match(exact));
    const auto relations = px::compare_paths("/a/b/c.mkv", {"/A/b/c.mkv", "/a/b", "/x/c.mkv"});
    CHECK(relations.size() == 3 && relations[0].equal() && relations[1].under() && relations[2].common() == 1);
    CHECK(px::compare_paths("/a", {}).empty());
    CHECK(px::results::compare_paths("/a", {std::string_view("a\0b", 3)}).error().status() == px::Status::invalid_argument);
    CHECK(std::strcmp(px::status_name(px::Status::not_found), "NOT_FOUND") == 0);
    CHECK(px::abi_version() == PLEXINDEX_ABI_VERSION && std::strlen(px::version()) > 0);
}

void renewal(const setting &setting) {
    px::Options options = options_for(setting);
    int calls = 0;
    options.token = "no-longer-good";
    options.renew_token = [&] {
        if (++calls == 2) throw Thrown{9};
        return std::string(setting.token);
    };
    const px::Index index = px::Index::open(options);
    CHECK(index.library("Movies").refresh() == px::Status::ok && calls == 1);
    index.set_token("refused");
    try {
        index.library("Movies").refresh();
        CHECK(false);
    } catch (const px::Error &error) {
        CHECK(error.status() == px::Status::unauthorized && calls == 2);
    }
    index.set_token(setting.token);
    CHECK(index.library("Movies").refresh() == px::Status::ok && calls == 2);
}

void logs(const setting &setting) {
    px::Options options = options_for(setting);
    options.log_level = px::LogLevel::info;
    px::drain_log([](px::LogLevel, std::string_view) {});
    const px::Index index = px::Index::open(options);
    index.invalidate_all();
    CHECK(index.library("Movies").match(exact).log_lines() > 0);
    std::vector<std::string> lines;
    try {
        px::drain_log([&](px::LogLevel level, std::string_view line) {
            CHECK(level != px::LogLevel::off && !line.empty());
            lines.emplace_back(line);
            throw Thrown{8};
        });
        FAIL("it is not thrown");
    } catch (const Thrown &thrown) {
        CHECK(thrown.number == 8);
    }
    CHECK(lines.size() == 1);
}

// One library for several threads, as const.
void threads(const px::Library &movies) {
    std::vector<std::thread> all;
    for (int i = 0; i < 4; ++i) {
        all.emplace_back([&movies] {
            px::Match match;
            for (int round = 0; round < 50; ++round) {
                const px::Library copy = movies;
                CHECK(copy.match_into(match, round % 2 == 0 ? exact : twin) != px::Status::not_found);
                CHECK(match.candidates().size() == std::size_t(round % 2 == 0 ? 1 : 2));
                CHECK(movies.lookup_key(exact) == "/library/metadata/900001");
            }
        });
    }
    for (std::thread &thread : all) thread.join();
}

// Every option arrives.
void options(const setting &setting) {
    px::Options options = options_for(setting);
    options.mappings = {{"/host", "/data/movies"}, {"^/m/(.*)", "/data/movies/\\1", px::Mapping::Kind::host_pattern}};
    const px::Index index = px::Index::open(options);
    const px::Library movies = index.library("Movies");
    CHECK(movies.match("/host/Exact (2001)/Exact (2001).mkv").rung() == px::Rung::mapped);
    CHECK(movies.match("/m/Exact (2001)/Exact (2001).mkv").rung() == px::Rung::mapped);
    CHECK(index.host_path("/data/movies/x.mkv") == "/host/x.mkv" && index.host_path("/other/x.mkv") == "/other/x.mkv");
    for (std::chrono::milliseconds px::Options::*time : {&px::Options::library_ttl, &px::Options::max_age, &px::Options::deadline,
                                            &px::Options::connect_timeout, &px::Options::read_timeout,
                                            &px::Options::retry_for, &px::Options::slow}) {
        px::Options wrong = options_for(setting);
        wrong.*time = -77ms;
        refused(px::Status::invalid_argument, "-77", [&] { return px::Index::open(wrong); });
    }
    px::Options wrong = options_for(setting);
    wrong.page_size = 5000;
    refused(px::Status::invalid_argument, "5000", [&] { return px::Index::open(wrong); });
    wrong = options_for(setting);
    wrong.ca_file = "/no/such/file.pem";
    refused(px::Status::invalid_argument, "/no/such/file.pem", [&] { return px::Index::open(wrong); });
    wrong = options_for(setting);
    wrong.log_level = static_cast<px::LogLevel>(99);
    refused(px::Status::invalid_argument, "99", [&] { return px::Index::open(wrong); });
    px::Options offline = options_for(setting);
    offline.offline = true;
    offline.library_ttl = px::ttl_at_once;
    offline.retry_for = px::no_retry;
    offline.slow = px::never_slow;
    offline.no_mmap = offline.accept_invalid_certs = offline.obfuscate_paths = true;
    offline.matches_limit = offline.size_limit = 1 << 30;
    offline.user = "another";
    const px::Index closed = px::Index::open(offline);
    CHECK(closed.stats().size_limit == 1 << 30);
    refused(px::Status::offline, "offline", [&] { return closed.server_json(); });
    px::Options by_file = options_for(setting);
    by_file.server_url.clear();
    by_file.token.clear();
    by_file.database = "/no/such/folder";
    const px::Index file = px::Index::open(by_file);
    refused(px::Status::connect, "com.plexapp.plugins.library.db", [&] { return file.server_json(); });
}

} // namespace

int main(int argc, char **argv) {
    const setting setting = setting_of(argc, argv);
    px::Index index = px::Index::open(options_for(setting));
    const px::Library movies = index.library("Movies");
    answers(movies);
    inputs(movies);
    batches(movies);
    memory(movies);
    moves(setting);
    lifetimes(setting);
    errors(index, setting);
    callbacks(index);
    tables(index);
    facts(index, movies);
    threads(movies);
    renewal(setting);
    logs(setting);
    options(setting);
    writes(index, movies);
    index.close();
    return 0;
}

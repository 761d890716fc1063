// Tests how the C++ binding passes arguments, errors, lifetimes, threads and cancelling.
#include <plexindex.hpp>

#include "../c/check.h"

#include <array>
#include <atomic>
#include <list>
#include <thread>

namespace px = plexindex;
using namespace std::literals;

// These do not compile.
static_assert(!std::is_copy_constructible_v<px::Index> && !std::is_default_constructible_v<px::Index>);
static_assert(std::is_nothrow_move_constructible_v<px::Index> && std::is_nothrow_move_assignable_v<px::Index>);
static_assert(std::is_nothrow_move_constructible_v<px::Match> && std::is_nothrow_copy_constructible_v<px::Item>);
static_assert(std::is_nothrow_move_constructible_v<px::Library> && std::is_copy_constructible_v<px::Library>);
static_assert(std::is_nothrow_copy_constructible_v<px::Error>);
static_assert(!std::is_constructible_v<px::PathRef, std::nullptr_t> && !std::is_constructible_v<px::PathRef, int>);
static_assert(!std::is_convertible_v<px::Status, bool> && !std::is_convertible_v<px::Match, bool>);
// A text is not a range of paths, and neither is a path, which is a range of its own parts.
static_assert(std::is_convertible_v<std::vector<std::string> &, px::Paths>);
static_assert(std::is_convertible_v<std::list<std::filesystem::path>, px::Paths>);
static_assert(!std::is_convertible_v<std::string, px::Paths> && !std::is_convertible_v<const char *, px::Paths>);
static_assert(!std::is_convertible_v<std::filesystem::path &, px::Paths> && !std::is_convertible_v<int, px::Paths>);

// A temporary match cannot be read, because its texts end with it.
#define READS(name, expression)                                                                                        \
    template <class T, class = void> struct name : std::false_type {};                                                 \
    template <class T> struct name<T, std::enable_if_t<!std::is_void_v<decltype(expression)>>> : std::true_type {};    \
    static_assert(name<px::Match &>::value && name<const px::Match &>::value && !name<px::Match>::value);
READS(reads_message, std::declval<T>().message())
READS(reads_sure, std::declval<T>().sure()->title())
READS(reads_likely, std::declval<T>().likely()->title())
READS(reads_candidate, std::declval<T>().candidates()[0].title())

namespace {

const char exact[] = "/data/movies/Exact (2001)/Exact (2001).mkv";
const char twin[] = "/somewhere/else/twin.mkv";
const std::string_view with_nul("a\0b", 3);

struct Thrown {
    int number;
};

// Returns the error of a call that must fail.
template <class Call> px::Error error_of(Call call) try {
    call();
    FAIL("a call does not fail");
    std::abort();
} catch (const px::Error &error) {
    return error;
}

// The call must fail with this status, and name this argument or input.
template <class Call> void refused(px::Status status, const char *word, Call call) {
    const px::Error error = error_of(call);
    if (error.status() != status || std::strstr(error.what(), word) == nullptr)
        FAIL("%s: %s", px::status_name(error.status()), error.what());
}

// The call must throw this through the library.
template <class Call> void throws(int number, Call call) try {
    call();
    FAIL("it is not thrown");
} catch (const Thrown &thrown) {
    CHECK(thrown.number == number);
}

bool holds(const std::string &json, std::string_view text) { return json.find(text) != std::string::npos; }

px::Options options_for(const setting &setting) {
    px::Options options;
    options.cache_dir = setting.folder;
    options.server_url = setting.url;
    options.token = setting.token;
    return options;
}

void matches(const px::Library &movies) {
    const px::Match match = movies.match(exact);
    CHECK(match && match.status() == px::Status::ok && match.match_kind() == px::MatchKind::exact);
    CHECK(match.confidence() == px::Confidence::high && match.reason() == px::Reason::none && match.message().empty());
    CHECK(match.age() && !match.is_stale() && match.candidates_total() == 1 && match.candidates().size() == 1);
    const std::optional<px::Item> item = match.sure();
    CHECK(item && item->key() == "/library/metadata/900001" && item->rating_key() == "900001" && item->path() == exact);
    CHECK(item->title() == "Exact" && item->year() == 2001 && px::item_kind_name(item->kind()) == "MOVIE"sv);
    CHECK(item->guid() == "plex://movie/000000000000000000000001" && item->section() == "1");
    CHECK(item->library_title() == "Movies" && !item->season() && !item->episode() && item->show_title().empty());
    CHECK(item->show_rating_key().empty() && item->show_guid().empty() && item->is_path_utf8() && !item->is_key_only());

    px::QueryOptions options;
    options.with_files = options.no_size = true;
    const px::Match described = movies.match(exact, options);
    const std::optional<px::File> file = described.sure()->file();
    CHECK(file && file->size() > 0 && file->part_id() > 0 && file->media_id() > 0 && file->versions() == 2);
    CHECK(file->part() == 1 && file->parts() == 1 && file->version() == 1 && !file->is_optimized() && !item->file());

    const px::Match several = movies.match(twin), none = movies.match("/data/movies/New.mkv"sv);
    CHECK(!several && several.status() == px::Status::ambiguous && !several.message().empty());
    const px::Match likely = movies.match("/elsewhere/Exact (2001).mkv", options);
    CHECK(!several.sure() && !several.likely() && match.sure() && !match.likely());
    CHECK(!likely && !likely.sure() && likely.likely()->rating_key() == "900001");
    CHECK(several.candidates().size() == 2 && several.candidates()[1].title().substr(0, 5) == "Twin ");
    CHECK(none.status() == px::Status::not_found && none.reason() == px::Reason::not_listed);
    CHECK(px::status_name(none.status()) == "NOT_FOUND"sv && px::match_kind_name(match.match_kind()) == "EXACT"sv);
    CHECK(px::confidence_name(match.confidence()) == "HIGH"sv && px::reason_name(none.reason()) == "NOT_LISTED"sv);
}

// Takes texts and paths, one and many.
void inputs(const px::Library &movies) {
    const std::string text = exact, longer = text + "and more";
    const std::string_view part = std::string_view(longer).substr(0, text.size());
    const std::filesystem::path path = exact;
    CHECK(movies.match(text) && movies.match(path) && movies.match(part));
    for (const auto &key : {movies.lookup_key(text), movies.lookup_key(path), movies.lookup_key(part)})
        CHECK(key == "/library/metadata/900001");
    CHECK(!movies.lookup_key(longer) && !movies.lookup_key(""sv) && !movies.lookup_key(text + '\0'));
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(""); });
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(text + '\0'); });
    refused(px::Status::invalid_argument, "NUL", [&] { return movies.match_paths({exact, with_nul}); });
    refused(px::Status::invalid_argument, "NUL", [&] { return movies.lookup_keys({with_nul}); });
    refused(px::Status::invalid_argument, "NUL", [&] { movies.record_matches({"/a"}, {with_nul}); });
    refused(px::Status::invalid_argument, "keys", [&] { movies.record_matches({"/a"}, {"1", "2"}); });

    const std::vector<std::string> strings{exact, twin, "/data/movies/New.mkv"};
    const std::list<std::filesystem::path> paths(strings.begin(), strings.end());
    for (const auto &all : {movies.match_paths(strings), movies.match_paths(paths),
                            movies.match_paths({exact, std::filesystem::path(twin), strings[2]})}) {
        CHECK(all.size() == 3 && all[0].sure()->title() == "Exact" && all[1].candidates().size() == 2);
        CHECK(all[2].status() == px::Status::not_found);
    }
    CHECK((movies.lookup_keys(strings) == std::vector<std::string>{"/library/metadata/900001", "", ""}));
    CHECK(movies.match_paths({}).empty());
}

// Results outlive the index. A library keeps the index open, unless close() closes it.
void lifetimes(const setting &setting) {
    std::optional<px::Library> library;
    std::optional<px::Item> item;
    std::vector<px::Match> all;
    library = px::Index::open(options_for(setting)).library("Movies");
    all = library->match_paths({exact, twin});
    item = all[0].sure();
    CHECK(library->match(exact));
    library.reset();
    CHECK(item->title() == "Exact" && all[1].candidates()[0].title().substr(0, 5) == "Twin ");
    const px::Match copy = all[1];
    all.clear();
    CHECK(copy.candidates().size() == 2 && item->title() == "Exact");

    px::Index index = px::Index::open(options_for(setting));
    px::Library movies = index.library("Movies");
    const px::Library other = std::move(movies);
    CHECK(!movies.lookup_key(exact) && other.match(exact));
    refused(px::Status::null_pointer, "", [&] { return movies.match(exact); });
    px::Index same = std::move(index);
    CHECK(!index.is_open() && same.is_open());
    refused(px::Status::null_pointer, "", [&] { return index.library("Movies"); });
    index.close();
    same = px::Index::open(options_for(setting)); // a library of the index before keeps that open
    CHECK(other.match(exact) && same.library("Movies").match(exact));
    library = same.library("Movies");
    const px::Table table = same.table("t");
    same.close();
    same.close();
    CHECK(!same.is_open() && !library->lookup_key(exact) && !table.lookup("a"));
    refused(px::Status::null_pointer, "", [&] { return library->match(exact); });
    refused(px::Status::null_pointer, "", [&] { same.write(px::WriteBatch().put(table, "a", "b")); });
    refused(px::Status::null_pointer, "", [&] { same.call("libraries.list"); });
    CHECK(!library->native_handle() && !table.native_handle() && !same.native_handle());
}

// Calls methods by name: JSON, other statuses, errors.
void methods(const px::Index &index) {
    CHECK(holds(index.call("versions").json, "\"library\":\""s + px::version()));
    const px::Reply item = index.call("items.get", R"({"key": "900001"})");
    CHECK(item.status == px::Status::ok && holds(item.json, R"("title":"Exact")"));
    CHECK(index.call("items.get", R"({"key": "4"})").status == px::Status::not_found);
    refused(px::Status::invalid_argument, "'items.lists'", [&] { index.call("items.lists"); });
    refused(px::Status::invalid_argument, "`keys`", [&] { index.call("items.get", R"({"keys": "1"})"); });
    // A path that is not UTF-8.
    const std::string request = R"({"path":{"bytes":"L/8="}})";
    CHECK(index.call("mappings.to_host", request).json == request);
}

// Progress functions see the fetch, end calls, and throw through the library.
void callbacks(const px::Index &index) {
    const px::Library slow = index.library("Slow");
    px::QueryOptions ask;
    long calls = 0;
    ask.progress = [&](const px::Progress &progress) {
        CHECK(progress.items <= progress.total || progress.total == 0);
        refused(px::Status::invalid_argument, "", [&] { const_cast<px::Index &>(index).close(); });
        return ++calls, false;
    };
    harness("fault {\"kind\":\"listing\",\"count\":0,\"action\":\"delay\",\"ms\":400}");
    refused(px::Status::aborted, "", [&] { return slow.match("/data/slow/x.mkv", ask); });
    CHECK(calls == 1);
    ask.progress = [](const px::Progress &) -> bool { throw Thrown{7}; };
    throws(7, [&] { return slow.match("/data/slow/x.mkv", ask); });
    throws(7, [&] { return slow.refresh(px::RefreshMode::full, ask); });
    px::CallOptions of_call;
    of_call.progress = ask.progress;
    throws(7, [&] { index.call("match.guid", R"({"library": "Slow", "guid": "imdb://tt7"})", of_call); });
    ask = {};
    ask.at_once = true;
    CHECK(slow.match("/data/slow/x.mkv", ask).status() == px::Status::not_yet);
    refused(px::Status::invalid_argument, "PLEXINDEX_QUERY_AT_ONCE", [&] { slow.refresh(px::RefreshMode::full, ask); });
    harness("heal");
    // A timeout of 0 or less is short; it does not mean no timeout.
    CHECK(slow.match("/data/slow/x.mkv").status() == px::Status::not_found);
    ask = {};
    for (const auto none : {0ms, -1ms, -5ms, std::chrono::milliseconds::min(), px::no_timeout}) {
        ask.timeout = none;
        CHECK(slow.match("/data/slow/x.mkv", ask).status() == px::Status::not_found);
    }
    const long before = requests();
    ask.offline = true;
    refused(px::Status::library_not_found, "Holiday", [&] { return index.library("Holiday").match("/a", ask); });
    CHECK(requests() == before);
}

// Ends waits by a timeout, and by a progress function that another thread wakes.
void waits(const px::Index &index) {
    index.all_libraries().refresh();
    const std::string json = index.call("changes.list").json, begin = R"("cursor":")";
    const std::size_t at = json.find(begin) + begin.size();
    const std::string request = R"({"offline": true, "cursor": ")" + json.substr(at, json.find('"', at) - at) + "\"}";
    px::CallOptions options;
    options.timeout = 1ms;
    CHECK(index.call("changes.wait", request, options).status == px::Status::not_yet);
    options.timeout = 60s;
    std::thread waker;
    std::atomic<bool> ends{false};
    options.progress = [&](const px::Progress &progress) {
        CHECK(progress.library.empty() && progress.total == 0);
        if (!waker.joinable()) waker = std::thread([&] { ends = true, index.wake_waiting(); });
        return !ends;
    };
    refused(px::Status::aborted, "", [&] { index.call("changes.wait", request, options); });
    waker.join();
}

void writes(const px::Index &index, const px::Library &movies) {
    movies.record_match("/host/a.mkv", "900002");
    CHECK(movies.match("/host/a.mkv").match_kind() == px::MatchKind::confirmed);
    movies.record_matches({"/host/b.mkv", "/host/c.mkv"}, {"900002", "900003"});
    // The second lookup leaves the first key alone.
    const auto one = movies.lookup_key("/host/b.mkv"), other = movies.lookup_key("/host/c.mkv");
    CHECK(one == "/library/metadata/900002" && other == "/library/metadata/900003");
    refused(px::Status::invalid_argument, "'shared'", [&] { movies.record_matches({"/a"}, {"1"}, {}, true); });
    movies.invalidate_path("/host/a.mkv");
    movies.invalidate_item("900003");
    CHECK(!movies.lookup_key("/host/a.mkv") && !movies.lookup_key("/host/c.mkv"));
    for (const auto mode : {px::RefreshMode::if_due, px::RefreshMode::probe, px::RefreshMode::full})
        CHECK(movies.refresh(mode) == px::Status::ok);
    movies.invalidate();
    CHECK(movies.match(exact) && index.stats().items >= 1203 && index.stats().answers[PLEXINDEX_MATCH_EXACT] > 0);
    CHECK(plexindex_lookup_key(movies.native_handle(), exact) != nullptr && index.native_handle() != nullptr);
    index.notify(R"({"event": "library.new", "Metadata": {"librarySectionID": 1}})");
    index.clear();
    CHECK(!movies.lookup_key("/host/b.mkv") && movies.match(exact));
    CHECK(index.library("1", px::Selector::section).match(exact) && index.library("movies").match(exact));
    // The server never answers: plexindex, which knows no library, asks for one until the timeout.
    index.clear();
    harness("fault {\"count\":0,\"action\":\"delay\",\"ms\":60000}");
    const px::Library unknown = index.library("Holiday");
    refused(px::Status::timeout, "timeout", [&] { unknown.record_match("/a.mkv", "7", 50ms); });
    refused(px::Status::timeout, "timeout", [&] { unknown.record_matches({"/a.mkv"}, {"7"}, 50ms); });
    harness("heal");
}

void tables(const px::Index &index) {
    const px::Table table = index.table("films"), unnamed = index.table({});
    const std::string value(5000, 'v');
    const px::PutOptions lasting{px::ttl_never};
    CHECK(!table.get("a") && table.names().empty());
    table.put("a", "one", lasting), table.put("b", value), table.put("", with_nul);
    CHECK(table.get("a") == "one" && table.lookup("a") == "one" && table.get("b") == value && !table.lookup("b"));
    CHECK(table.get("") == with_nul && (table.names() == std::vector<std::string>{"", "a", "b"}));
    unnamed.put("a", "");
    CHECK(unnamed.get("a") == "" && index.call("tables.count", R"({"table": ""})").json == R"({"count":1})");
    unnamed.clear();
    CHECK(unnamed.names().empty() && table.names().size() == 3);
    index.write(px::WriteBatch().put(table, "c", "three").remove(table, "a"), lasting);
    table.remove("");
    CHECK((table.names() == std::vector<std::string>{"b", "c"}));
    index.write(px::WriteBatch().clear(table));
    CHECK(table.names().empty());
    const px::Table folding = index.table("folding", true);
    folding.put("ABC", "x");
    CHECK(folding.get("abc") == "x");
}

// Threads share a library, and each call has its own error.
void threads(const px::Index &index, const px::Library &movies) {
    std::vector<std::thread> all;
    std::array<std::string, 40> texts;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        all.emplace_back([&, i] {
            const px::Library copy = movies;
            const px::Match match = copy.match(i % 2 == 0 ? exact : twin);
            CHECK(match.candidates().size() == 1 + i % 2 && movies.lookup_key(exact) == "/library/metadata/900001");
            const std::string name = "no/such/" + std::to_string(i) + "!";
            const px::Error error = error_of([&] {
                if (i % 2 == 0) copy.invalidate_item(name);
                else index.call("items.get", R"({"key": ")" + name + "\"}");
            });
            texts[i] = error.what();
        });
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        all[i].join();
        CHECK(holds(texts[i], "'no/such/" + std::to_string(i) + "!'"));
    }
    // A text that does not fit ends in `…`.
    const std::string longest = error_of([&] { return movies.match(std::string(2100, '/') + '\0'); }).what();
    CHECK(longest.size() > 1000 && longest.substr(longest.size() - 3) == "…");
}

void tokens(const setting &setting) {
    px::Options options = options_for(setting);
    options.token = "no-longer-good";
    const px::Index index = px::Index::open(options);
    refused(px::Status::unauthorized, "401", [&] { index.library("Movies").refresh(); });
    index.set_token(setting.token);
    CHECK(index.library("Movies").refresh() == px::Status::ok);
}

void logs(const setting &setting) {
    px::Options options = options_for(setting);
    options.log_level = px::LogLevel::info;
    px::drain_log([](px::LogLevel, std::string_view) {});
    const px::Library movies = px::Index::open(options).library("Movies");
    movies.invalidate();
    CHECK(movies.match(exact));
    int lines = 0;
    throws(8, [&] {
        px::drain_log([&](px::LogLevel level, std::string_view line) {
            CHECK(level == px::LogLevel::info && !line.empty());
            throw Thrown{++lines + 7};
        });
    });
    CHECK(lines == 1);
}

// Passes every option on.
void options(const setting &setting) {
    px::Options mapped = options_for(setting);
    mapped.mappings = {{"/host", "/data/movies"}, {"^/m/(.*)", "/data/movies/\\1", px::Mapping::Kind::host_pattern}};
    const px::Index index = px::Index::open(mapped);
    for (const char *path : {"/host/Exact (2001)/Exact (2001).mkv", "/m/Exact (2001)/Exact (2001).mkv"})
        CHECK(index.library("Movies").match(path).match_kind() == px::MatchKind::mapped);
    const auto open = [&](auto set) {
        px::Options options = options_for(setting);
        return set(options), px::Index::open(options);
    };
    const auto wrong = [&](const char *word, auto set) {
        refused(px::Status::invalid_argument, word, [&] { return open(set); });
    };
    using Time = px::Options;
    for (const auto time : {&Time::library_ttl, &Time::max_age, &Time::timeout, &Time::slow, &Time::connect_timeout,
                            &Time::read_timeout, &Time::retry_for, &Time::stale_answer_timeout})
        wrong("-77", [&](px::Options &options) { options.*time = -77ms; });
    wrong("cache_dir", [](px::Options &options) { options.cache_dir.clear(); });
    wrong("5000", [](px::Options &options) { options.page_size = 5000; });
    wrong("/no/such/file.pem", [](px::Options &options) { options.ca_file = "/no/such/file.pem"; });
    wrong("99", [](px::Options &options) { options.log_level = static_cast<px::LogLevel>(99); });
    wrong("shared", [](px::Options &options) { options.shared = "mysql://db/x"; });
    CHECK(open([](px::Options &options) { options.timeout = px::no_timeout; }).library("Movies").match(exact));
    const px::Index closed = open([](px::Options &options) {
        options.library_ttl = px::ttl_at_once;
        options.retry_for = px::no_retry;
        options.slow = px::never_slow;
        options.offline = options.no_mmap = options.accept_invalid_certs = options.obfuscate_paths = true;
        options.matches_limit = options.size_limit = 1 << 30;
        options.user = "another";
    });
    CHECK(closed.stats().size_limit == 1 << 30);
    refused(px::Status::offline, "offline", [&] { closed.call("server.check"); });
    const px::Index file = open([](px::Options &one) { one.server_url = "", one.database = "/no/such/folder"; });
    refused(px::Status::connect, "com.plexapp.plugins.library.db", [&] { file.call("server.check"); });
}

} // namespace

int main(int argc, char **argv) {
    const setting setting = setting_of(argc, argv);
    px::Index index = px::Index::open(options_for(setting));
    const px::Library movies = index.library("Movies");
    matches(movies), inputs(movies), lifetimes(setting), methods(index), callbacks(index), waits(index), tables(index);
    threads(index, movies), tokens(setting), logs(setting), options(setting), writes(index, movies);
    index.close();
    return 0;
}

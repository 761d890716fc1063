// The C++ binding: every call as a host makes it, and wrong calls.
#include <plexindex.hpp>

#include "../c/check.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <list>
#include <new>
#include <thread>

namespace px = plexindex;
using namespace std::literals;

namespace {

std::atomic<long> allocations{0};
std::atomic<std::size_t> largest{SIZE_MAX};

} // namespace

// Counted: the binding promises where it allocates. More than `largest` at once is refused.
void *operator new(std::size_t size) {
    ++allocations;
    if (void *place = size > largest ? nullptr : std::malloc(size == 0 ? 1 : size)) return place;
    throw std::bad_alloc();
}
void *operator new[](std::size_t size) { return operator new(size); }
void operator delete(void *place) noexcept { std::free(place); }
void operator delete(void *place, std::size_t) noexcept { std::free(place); }
void operator delete[](void *place) noexcept { std::free(place); }
void operator delete[](void *place, std::size_t) noexcept { std::free(place); }

// What does not compile.
static_assert(!std::is_copy_constructible_v<px::Index> && !std::is_copy_assignable_v<px::Index>);
static_assert(std::is_nothrow_move_constructible_v<px::Index> && std::is_nothrow_move_assignable_v<px::Index>);
static_assert(std::is_nothrow_move_constructible_v<px::Match> && std::is_nothrow_move_assignable_v<px::Match>);
static_assert(std::is_nothrow_move_constructible_v<px::Library> && std::is_copy_constructible_v<px::Library>);
static_assert(!std::is_default_constructible_v<px::Index>);
static_assert(!std::is_constructible_v<px::PathRef, std::nullptr_t> && !std::is_constructible_v<px::PathRef, int>);
static_assert(!std::is_constructible_v<px::PathRef, bool> && !std::is_constructible_v<px::PathRef, char>);
static_assert(!std::is_convertible_v<px::Status, bool> && !std::is_convertible_v<px::Match, bool>);
static_assert(!std::is_convertible_v<px::Match, int> && !std::is_convertible_v<px::Result<int>, bool>);
static_assert(std::is_same_v<decltype(px::Result<int>(1).value_or(2)), int>);
static_assert(std::is_same_v<px::Result<int>::error_type, px::Error>);
static_assert(std::is_nothrow_copy_constructible_v<px::Error>);
static_assert(!std::is_copy_constructible_v<px::Library::Items> && std::is_move_constructible_v<px::Library::Walk>);
static_assert(std::is_nothrow_move_constructible_v<px::Item> && std::is_nothrow_copy_constructible_v<px::Candidates>);
static_assert((px::Rules::hidden | px::Rules::empty) == (px::Rules::empty | px::Rules::hidden));
static_assert((px::Rules::all & ~px::Rules::hidden) != px::Rules::all && ~px::Rules::all == px::Rules::none);
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
static_assert(std::ranges::random_access_range<const px::Answers> && std::ranges::sized_range<const px::Answers>);
static_assert(std::ranges::borrowed_range<px::Answers>);
static_assert(std::ranges::random_access_range<const px::Keys> && std::ranges::sized_range<const px::Keys>);
static_assert(std::ranges::input_range<px::Library::Items> && std::ranges::input_range<px::results::Library::Items>);
static_assert(std::ranges::input_range<px::Library::Walk> && std::ranges::input_range<px::results::Library::Walk>);
static_assert(std::ranges::input_range<px::Table::Names> && std::ranges::input_range<px::results::Table::Names>);
static_assert(std::ranges::common_range<px::Library::Items> && !std::ranges::forward_range<px::Library::Items>);
static_assert(std::same_as<std::ranges::range_value_t<px::Library::Items>, px::Item>);
static_assert(std::same_as<std::ranges::range_value_t<px::results::Table::Names>, px::Result<std::string>>);
#endif

// A text of a result that is not kept would be read when its memory is gone.
template <class T, class = void> struct tells : std::false_type {};
template <class T> struct tells<T, std::enable_if_t<!std::is_void_v<decltype(std::declval<T>().message())>>> : std::true_type {};
static_assert(tells<px::Match &>::value && tells<const px::Match &>::value && !tells<px::Match>::value);
template <class T, class = void> struct reaches : std::false_type {};
template <class T> struct reaches<T, std::enable_if_t<!std::is_void_v<decltype(std::declval<T>().item()->title())>>> : std::true_type {};
static_assert(reaches<px::Match &>::value && reaches<const px::Match &>::value && !reaches<px::Match>::value);
static_assert(std::is_convertible_v<decltype(std::declval<px::Match>().item()), std::optional<px::Item>>);

// Whether what these give, of a result of this type, has texts that can be read at once: only if the result has a name.
#define READS(name, expression)                                                                                        \
    template <class T, class = void> struct name : std::false_type {};                                                 \
    template <class T> struct name<T, std::void_t<decltype(std::string_view(expression))>> : std::true_type {};
#define RESULT std::declval<T>()
READS(reads_first_of_stream, (*RESULT.begin()).title())
READS(reads_first_name, *RESULT.begin())
READS(reads_value_or, RESULT.item().value_or(px::Item()).title())
READS(reads_candidate, RESULT.candidates()[0].title())
READS(reads_first, RESULT.candidates().begin()->path())
READS(reads_value, RESULT.item().value().key())
READS(reads_message, RESULT[0].message())
READS(reads_first_message, RESULT.begin()->message())
READS(reads_item_of_one, RESULT[0].item()->title())
READS(reads_candidate_of_one, RESULT[0].candidates()[0].title())
READS(reads_dereferenced, (*RESULT.item()).key())
READS(reads_by_iterator, (*RESULT.begin()).message())
READS(reads_beside_iterator, RESULT.begin()[0].message())
READS(reads_item_beside_iterator, RESULT.begin()[0].item()->key())
template <template <class, class> class Reads, class T>
inline constexpr bool only_named = Reads<T &, void>::value && Reads<const T &, void>::value && !Reads<T, void>::value;
static_assert(only_named<reads_candidate, px::Match> && only_named<reads_candidate, px::Answer>);
static_assert(only_named<reads_first, px::Match> && only_named<reads_value, px::Match>);
static_assert(only_named<reads_message, px::Answers> && only_named<reads_first_message, px::Answers>);
static_assert(only_named<reads_item_of_one, px::Answers> && only_named<reads_candidate_of_one, px::Answers>);
static_assert(only_named<reads_value_or, px::Match> && only_named<reads_value_or, px::Answer>);
static_assert(reads_first_of_stream<px::Library::Items &>::value && !reads_first_of_stream<px::Library::Items>::value);
static_assert(reads_first_name<px::Table::Names &>::value && !reads_first_name<px::Table::Names>::value);
static_assert(only_named<reads_dereferenced, px::Match> && only_named<reads_value, px::Answer>);
static_assert(only_named<reads_by_iterator, px::Answers> && only_named<reads_beside_iterator, px::Answers>);
static_assert(only_named<reads_item_beside_iterator, px::Answers>);

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

// The error of a stream's first element.
template <class Stream> void begin(Stream stream) {
    static_cast<void>(stream.begin());
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
    CHECK(match.match_kind() == px::MatchKind::exact && match.confidence() == px::Confidence::high);
    CHECK(match.reason() == px::Reason::none && match.message().empty());
    const std::optional<px::Item> item = match.item();
    CHECK(item && item->key() == "/library/metadata/900001" && item->rating_key() == "900001");
    CHECK(item->title() == "Exact" && item->year() == 2001 && item->kind() == px::ItemKind::movie && item->path() == exact);
    CHECK(item->guid() == "plex://movie/000000000000000000000001" && item->section() == "1");
    CHECK(item->library_title() == "Movies" && !item->season() && !item->episode() && item->show_title().empty());
    CHECK(item->show_rating_key().empty() && item->show_guid().empty() && item->is_path_utf8() && !item->is_key_only());
    CHECK(match.age() && !match.is_stale() && match.candidates_total() == 1);

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

    const px::Item kept = movies.match(exact).item().value_or(px::Item()); // with a name of its own
    CHECK(kept.title() == "Exact" && movies.match(twin).item().value_or(px::Item()).year() == std::nullopt);

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
    CHECK(!movies.lookup_key(std::string_view(longer)) && !movies.lookup_key(""sv));
    CHECK(!movies.lookup_key(text + '\0') && !movies.lookup_key(std::string_view(exact, sizeof exact)));
    CHECK(!movies.lookup_key(std::string_view(std::string(4095, 'x'))));
    CHECK(!movies.lookup_key(std::string_view(std::string(4096, 'x'))));
    CHECK(!movies.lookup_key(std::string_view()) && !movies.lookup_key(static_cast<const char *>(nullptr)));
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(""); });
    refused(px::Status::invalid_argument, "path", [&] { return movies.match(text + '\0'); });
    refused(px::Status::invalid_argument, "element 1, which begins with 'a'", [&] { return movies.match_paths({exact, std::string_view("a\0b", 3)}); });
    refused(px::Status::invalid_argument, "contains a NUL", [&] { return movies.lookup_keys({std::string_view("a\0b", 3)}); });
    refused(px::Status::invalid_argument, "contains a NUL", [&] { movies.record_matches({exact}, {std::string_view("1\0b", 3)}); });
}

void batches(const px::Library &movies) {
    const std::vector<std::string> strings{exact, twin, "/data/movies/New.mkv"};
    const std::list<std::filesystem::path> paths(strings.begin(), strings.end());
    const std::array<std::string_view, 3> views{strings[0], strings[1], strings[2]};
    px::Answers block = movies.match_paths(strings);
    for (int round = 0; round < 4; ++round) {
        CHECK(block.size() == 3 && !block.empty());
        CHECK(block[0].status() == px::Status::ok && block[0].item()->title() == "Exact");
        CHECK(block[1].status() == px::Status::ambiguous && block[1].candidates().size() == 2);
        CHECK(block[2].status() == px::Status::not_found && block[3].status() == px::Status::null_pointer);
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
    const auto begin = block.begin();
    CHECK((*begin).message() == begin->message() && begin[1].message() == block[1].message() && (*begin).item()->title() == "Exact");
#if defined(__cpp_lib_ranges) && (!defined(__clang__) || __clang_major__ > 15) // older ones cannot read libstdc++
    // A view that can be read only as it is, not as const.
    const auto long_ones = strings | std::views::filter([](const std::string &path) { return path.size() > 25; });
    auto readable = long_ones;
    CHECK(movies.match_paths(readable).size() == 1 && movies.lookup_key(readable.front()).has_value());
    const auto found = block | std::views::filter([](const px::Answer &answer) { return bool(answer); });
    auto readable_answers = found;
    CHECK(std::ranges::distance(readable_answers) == 1);
    const px::Answers &named = block;
    CHECK(!(named | std::views::drop(1) | std::views::take(1)).front().message().empty());
#endif
    const px::Keys keys = movies.lookup_keys(strings);
    const std::vector<std::string_view> all(keys.begin(), keys.end());
    CHECK(all.size() == 3 && all[0] == "/library/metadata/900001" && all[1].empty() && all[2].empty());
    CHECK(keys.size() == 3 && keys[0] == all[0] && keys[2].empty());
    std::size_t count = 0;
    for (const px::Answer answer : movies.match_paths(views)) count += answer.candidates().size();
    CHECK(count == 3);
}

// A result that has memory is filled anew without an allocation, and what its calls need is on the stack.
void memory(const px::Library &movies) {
    px::Match match = movies.match(twin);
    px::Answers block = movies.match_paths({exact, twin});
    px::Keys keys = movies.lookup_keys({exact, twin});
    std::string key = movies.lookup_key(exact).value();
    const px::Paths paths{exact, twin};
    const std::string_view view(exact);
    px::QueryOptions offline;
    offline.offline = true;
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
    CHECK(allocations == before + 2 || allocations == 0); // 0: valgrind has an `operator new` of its own
    // A call that fails leaves nothing of the result before.
    try {
        movies.match_into(match, "");
        FAIL("an empty path is a path");
    } catch (const px::Error &) {
    }
    CHECK(match.status() == px::Status::null_pointer && match.candidates().empty() && match.message().empty());
    const std::vector<std::string_view> with_nul{std::string_view("a\0b", 3)};
    refused(px::Status::invalid_argument, "NUL", [&] { movies.match_paths_into(block, with_nul); });
    refused(px::Status::invalid_argument, "NUL", [&] { movies.lookup_keys_into(keys, with_nul); });
    CHECK(block.empty() && keys.empty());
    // So does one without memory.
    movies.lookup_keys_into(keys, paths);
    movies.match_paths_into(block, paths);
    CHECK(keys.size() == 2 && block.size() == 2);
    px::Paths many;
    for (int i = 0; i < 10'000; ++i) many.add(exact);
    largest = 10'000;
    for (const bool is_keys : {true, false}) {
        try {
            if (is_keys) movies.lookup_keys_into(keys, many);
            else movies.match_paths_into(block, many);
            CHECK(allocations == 0); // of valgrind
        } catch (const std::bad_alloc &) {
            CHECK(is_keys ? keys.empty() : block.empty());
        }
    }
    largest = SIZE_MAX;
}

// Whatever is of a result keeps its memory, from a nameless one too, and when that is filled again.
void shares(const px::Library &movies, const setting &setting) {
    const px::results::Index index = px::results::Index::open(options_for(setting)).value();
    const px::Result<px::results::Library> of_other = index.library("Movies");
    const px::Candidates twins = of_other->match(twin)->candidates();
    const std::optional<px::Item> item = of_other->match(exact)->item();
    const px::Answer answer = *of_other->match(twin), second = of_other->match_paths({exact, twin}).value()[1];
    for (const px::Candidates &range : {twins, answer.candidates(), second.candidates()}) {
        CHECK(range.size() == 2 && range[1].title().substr(0, 5) == "Twin ");
    }
    CHECK(item->title() == "Exact" && answer.message() == second.message() && !answer.message().empty());
    std::size_t count = 0;
    for (const px::Item candidate : movies.match(twin).candidates()) count += candidate.title().empty() ? 0 : 1;
    CHECK(count == 2);

    px::Match match = movies.match(exact);
    const px::Match copy = match;
    px::Answers block = movies.match_paths({exact}), blocks = block;
    px::Keys keys = movies.lookup_keys({exact}), other_keys = keys;
    CHECK(movies.match_into(match, match.item()->path()) == px::Status::ok);
    CHECK(movies.match_into(match, twin) == px::Status::ambiguous && copy.item()->title() == "Exact");
    movies.match_paths_into(block, {twin});
    movies.lookup_keys_into(keys, {twin});
    CHECK(blocks[0].item()->title() == "Exact" && block[0].candidates().size() == 2);
    CHECK(keys[0].empty() && other_keys[0] == "/library/metadata/900001");
    px::Item first = copy.candidates()[0];
    const px::Item taken = std::move(first);
    CHECK(first.title().empty() && taken.title() == "Exact");
}

// What is moved from is empty, and a move keeps views.
void moves(const setting &setting) {
    px::Index index = px::Index::open(options_for(setting));
    px::Library movies = index.library("Movies");
    px::Match match = movies.match(twin);
    const px::Candidates views = match.candidates();
    px::Match moved = std::move(match);
    CHECK(views[0].title().substr(0, 5) == "Twin " && moved.candidates().size() == 2);
    CHECK(match.status() == px::Status::null_pointer && match.candidates().empty() && match.message().empty());
    CHECK(!match.item() && match.log_lines() == 0);
    px::Match &same = moved;
    moved = std::move(same);
    CHECK(moved.candidates().size() == 2);
    CHECK(movies.match_into(match, exact) == px::Status::ok);

    px::Answers block = movies.match_paths({exact});
    px::Answers other = std::move(block);
    CHECK(block.empty() && block.begin() == block.end() && block[0].status() == px::Status::null_pointer && other.size() == 1);
    px::Keys keys = movies.lookup_keys({exact});
    px::Keys other_keys = std::move(keys);
    CHECK(keys.begin() == keys.end() && *other_keys.begin() == "/library/metadata/900001");
    px::Paths paths{exact};
    px::Paths other_paths = std::move(paths);
    CHECK(paths.size() == 0 && paths.text().empty() && other_paths.size() == 1 && movies.match_paths(paths).empty());

    px::Library elsewhere = std::move(movies);
    CHECK(!movies.lookup_key(exact));
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { return movies.match(exact); });
    refused(px::Status::null_pointer, "of this call was moved from", [&] { return movies.match(exact); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { movies.invalidate(); });
    const auto stream_of = [&](auto stream) {
        const auto begin = stream.begin();
        auto taken = std::move(stream);
        CHECK(begin != stream.end() && taken.begin() != taken.end());
        refused(px::Status::null_pointer, "moved from", [&] { return stream.begin(); });
        CHECK(stream.begin() == stream.end());
        auto unread = std::move(taken);
        taken = std::move(unread);
        CHECK(taken.begin() != taken.end());
    };
    stream_of(elsewhere.list_items(2));
    stream_of(elsewhere.list_items_below("/data/movies"));
    index.table("moved").put("a", "b");
    stream_of(index.table("moved").names());
    index.table("moved").clear();
    std::ofstream(std::filesystem::path(setting.folder) / "no film.mkv") << "film";
    stream_of(elsewhere.walk({setting.folder}));
    movies = elsewhere;
    CHECK(movies.lookup_key(exact) == elsewhere.lookup_key(exact));

    px::Index new_index = std::move(index);
    CHECK(!index.is_open() && new_index.is_open());
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { return index.library("Movies"); });
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
    std::optional<px::Library::Items> items;
    px::Match match;
    px::Answers block;
    CHECK(match.status() == px::Status::null_pointer && match.candidates().empty() && block.empty());
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
    items.emplace(library->list_items(10));
    auto item = items->begin();
    CHECK(item != items->end());
    index.close();
    index.close();
    CHECK(!index.is_open() && !library->lookup_key(exact) && !table->lookup("a"));
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { return library->match(exact); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { return library->lookup_keys({exact}); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { return table->count(); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { std::for_each(item, items->end(), [](px::Item) {}); });
    CHECK(items->begin() == items->end());
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { begin(library->list_items_below("/data")); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { begin(library->walk({"/data"})); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { begin(table->names()); });
    refused(px::Status::null_pointer, "the index is closed, or an object", [&] { index.write(px::WriteBatch().put(*table, "a", "b")); });
    CHECK(library->native_handle() == nullptr && table->native_handle() == nullptr && index.native_handle() == nullptr);
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
    CHECK(std::strstr(failed.error().what(), "cache_dir") != nullptr);
    px::Result<px::Match> match = of_other.match(exact);
    CHECK(match && *match && match->item()->title() == "Exact");
    const px::Match taken = *std::move(match);
    CHECK(taken.item()->title() == "Exact");
    const px::Result<bool> missing = other.table("t").value().contains("nothing");
    CHECK(missing.has_value() && !missing.value());
    // A text that is longer than its room ends in `…`.
    const std::string longest = error_of([&] { static_cast<void>(index.all_libraries().match(std::string(2100, '/') + '\0')); }).what();
    CHECK(longest.size() > 1000 && longest.substr(longest.size() - 3) == "…");
}

struct Thrown {
    int number;
};

// Progress; what it throws passes through the library, and leaves the index as it was.
void callbacks(const px::Index &index) {
    const px::Library slow = index.library("Slow");
    px::QueryOptions ask;
    long calls = 0;
    ask.progress = [&](const px::Progress &progress) {
        CHECK(progress.items <= progress.total || progress.total == 0);
        ++calls;
        refused(px::Status::invalid_argument, "callback", [&] { const_cast<px::Index &>(index).close(); });
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
            case 1: slow.refresh(px::RefreshMode::full, ask); break;
            default: static_cast<void>(slow.match_paths({"/data/slow/x.mkv"}, ask));
            }
            FAIL("it is not thrown");
        } catch (const Thrown &thrown) {
            CHECK(thrown.number == 7);
        }
        CHECK(match.status() == px::Status::null_pointer);
    }
    harness("heal");
    CHECK(slow.match("/data/slow/x.mkv").status() == px::Status::not_found);
    // No time at all is a short time, not none; so is a time that is up.
    ask = {};
    for (const auto none : {0ms, -1ms, -5ms, std::chrono::milliseconds::min()}) {
        ask.deadline = none;
        CHECK(slow.match("/data/slow/x.mkv", ask).status() == px::Status::not_found);
    }
}

void writes(const px::Index &index, const px::Library &movies) {
    movies.record_match("/host/a.mkv", "900002");
    CHECK(movies.lookup_key("/host/a.mkv") == "/library/metadata/900002");
    CHECK(movies.match("/host/a.mkv").match_kind() == px::MatchKind::confirmed);
    movies.record_matches({"/host/b.mkv", "/host/c.mkv"}, {"900002", "900003"});
    CHECK(movies.lookup_key("/host/c.mkv") == "/library/metadata/900003");
    // A key stays what it is, whatever is looked up next.
    const auto one = movies.lookup_key("/host/b.mkv"), other = movies.lookup_key("/host/c.mkv");
    CHECK(one == "/library/metadata/900002" && other == "/library/metadata/900003");
    CHECK(movies.lookup_key("/host/b.mkv") != movies.lookup_key("/host/c.mkv"));
    refused(px::Status::invalid_argument, "keys", [&] { movies.record_matches({"/a"}, {"1", "2"}); });
    refused(px::Status::invalid_argument, "the index is not shared", [&] { movies.record_matches({"/a"}, {"1"}, {}, true); });
    movies.invalidate_path("/host/a.mkv");
    movies.invalidate_item("900003");
    CHECK(!movies.lookup_key("/host/c.mkv"));
    CHECK(movies.refresh() == px::Status::ok && movies.refresh(px::RefreshMode::full) == px::Status::ok);
    CHECK(movies.refresh(px::RefreshMode::probe) == px::Status::ok);
    movies.invalidate();
    index.all_libraries().invalidate();
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
    CHECK(!movies.lookup_key("/host/b.mkv") && movies.match(exact));
    // A server that never answers: a library that is not known is asked for until the deadline.
    const px::Library unknown = index.library("Holiday");
    harness("fault {\"count\":0,\"action\":\"delay\",\"ms\":60000}");
    refused(px::Status::timeout, "deadline", [&] { unknown.record_match("/a.mkv", "7", 50ms); });
    refused(px::Status::timeout, "deadline", [&] { unknown.record_matches({"/a.mkv"}, {"7"}, 50ms); });
    harness("heal");
}

void tables(const px::Index &index) {
    const px::Table table = index.table("films");
    const std::string value(5000, 'v');
    px::PutOptions lasting;
    lasting.ttl = px::ttl_never;
    CHECK(!table.get("a") && !table.contains("a"));
    table.put("a", "one", lasting);
    table.put("b", value);
    CHECK(table.get("a") == "one" && table.lookup("a") == "one"sv && !table.lookup("b") && table.get("b") == value);
    table.put("d", "four", lasting);
    CHECK(table.get("d") == "four" && table.contains("a"));
    const auto one = table.lookup("a"), four = table.lookup("d");
    CHECK(one == "one"sv && four == "four"sv);
    table.remove("d");
    std::string into;
    CHECK(table.lookup_into(into, "a") && into == "one" && !table.lookup_into(into, "e") && into.empty());
    CHECK(table.get_into(into, "b") && into == value && !table.get_into(into, "c") && into.empty());
    std::string same = "a", part = "name: a";
    CHECK(table.get_into(same, same) && same == "one");
    CHECK(table.get_into(part, std::string_view(part).substr(6)) && part == "one");
    same = "a";
    CHECK(table.lookup_into(same, same) && same == "one");
    table.put("", "of no name", lasting);
    std::vector<std::string> names;
    for (const std::string name : table.names()) names.push_back(name);
    CHECK((names == std::vector<std::string>{"", "a", "b"}));
    px::Table::Names again = table.names();
    CHECK((std::vector<std::string>(again.begin(), again.end()) == names) && again.begin() == again.end());
    table.remove("");
    index.write(px::WriteBatch().put(table, "c", "three").remove(table, "a"), lasting);
    CHECK(table.count() == 2 && index.all_tables().count() == 2 && !table.contains("a"));
    index.write(px::WriteBatch().clear(table));
    px::Table::Names none = table.names();
    CHECK(none.begin() == px::Table::Names::iterator());
    table.put("a"s, std::string_view("x\0y", 3));
    CHECK(table.get("a") == std::string("x\0y", 3) && !table.lookup("a"));
    table.remove("a");
    table.clear();
    CHECK(table.count() == 0);
    px::TableOptions fold;
    fold.fold_ascii = true;
    const px::Table folding = index.table("folding", fold);
    folding.put("ABC", "x");
    CHECK(folding.get("abc") == "x");
    refused(px::Status::invalid_argument, "all", [&] { return index.all_tables().get("a"); });
    refused(px::Status::invalid_argument, "all", [&] { begin(index.all_tables().names()); });
    // An empty name is no name for all tables, whatever text it is.
    const std::uint64_t before = index.all_tables().count();
    index.table(std::string_view()).clear();
    CHECK(before > 0 && index.all_tables().count() == before && index.table("").count() == 0);
}

template <class T> std::optional<T> read(std::string_view json) {
    T value{};
    return px::detail::Json(json).read(value) ? std::optional<T>(std::move(value)) : std::nullopt;
}

// Of a film of two files one is on this disk: it is no missing one, though its item has several.
void one_file_is_missing(const setting &setting) {
    namespace fs = std::filesystem;
    const fs::path root = fs::path(setting.folder) / "movies", film = root / "Exact (2001)";
    fs::create_directories(film);
    std::ofstream(film / "Exact (2001).mkv") << 'x';
    px::Options options = options_for(setting);
    options.mappings.push_back({"/data/movies", root.string(), px::Mapping::Kind::server_prefix});
    const px::Library movies = px::Index::open(options).library("Movies");
    std::size_t missing = 0, all = 0;
    for (const px::Item item : movies.list_items_not_on_disk(film)) {
        CHECK(item.is_file_missing() && !item.is_file_unknown() && item.path().find("4K") != item.path().npos);
        ++missing;
    }
    for (const px::Item item : movies.list_items_not_on_disk(film, 1, true)) all += item.is_file_missing() ? 1 : 10;
    CHECK(missing == 1 && all == 11);
}

// Streams: each element once, an error at its place, in loops, algorithms and pipelines.
void streams(const px::Index &index, const px::Library &movies, const setting &setting) {
    std::size_t items = 0;
    for (const px::Item item : movies.list_items(500)) items += item.key().empty() ? 0 : 1;
    CHECK(items == 1203);
    px::Library::Items all = movies.list_items(10000);
    CHECK(std::count_if(all.begin(), all.end(), [](px::Item item) { return item.year() == 2001; }) > 0);
    CHECK(all.begin() == all.end());
    px::Library::Items below = movies.list_items_below("/data/movies", 500);
    CHECK(std::distance(below.begin(), below.end()) == 1204);
    px::Library::Items gone = movies.list_items_not_on_disk("/data/movies/Exact (2001)");
    auto place = gone.begin();
    CHECK(place->path() != exact && (*place).title() == "Exact" && ++place != gone.end());
    place++;
    CHECK(place == gone.end());
    CHECK(gone.files() == 2);
    one_file_is_missing(setting);
#if defined(__cpp_lib_ranges) && (!defined(__clang__) || __clang_major__ > 15) // older ones cannot read libstdc++
    auto twins = movies.list_items() | std::views::filter([](px::Item item) { return item.title().substr(0, 4) == "Twin"; });
    CHECK(std::ranges::distance(twins) == 2);
    auto found = movies.list_items_below("/data/movies");
    CHECK(std::ranges::any_of(found | std::views::transform(&px::Item::title), [](auto title) { return title == "Exact"; }));
#endif
    // Elements that are kept.
    std::vector<px::Item> kept;
    for (const px::Item item : movies.list_items(50)) kept.push_back(item);
    std::vector<std::string> keys;
    for (const px::Item &item : kept) keys.emplace_back(item.key());
    std::sort(keys.begin(), keys.end());
    CHECK(keys.size() == 1203 && std::unique(keys.begin(), keys.end()) == keys.end() && !keys[0].empty());
#if defined(__cpp_lib_ranges) && (!defined(__clang__) || __clang_major__ > 15)
    const px::Item newest = std::ranges::max(movies.list_items(50), {}, [](const auto &item) { return item.year().value_or(0); });
    CHECK(!newest.title().empty() && std::all_of(kept.begin(), kept.end(), [&](auto &item) { return !(item.year() > newest.year()); }));
#endif
    refused(px::Status::invalid_argument, "limit", [&] { begin(movies.list_items(0)); });
    refused(px::Status::invalid_argument, "one library", [&] { begin(index.all_libraries().list_items()); });

    const px::results::Index other = px::results::Index::open(options_for(setting)).value();
    const px::results::Library of_other = other.library("Movies").value();
    items = 0;
    for (const px::Result<px::Item> &item : of_other.list_items(500)) items += item.has_value() && item->year() ? 1 : 0;
    CHECK(items > 1000);
    std::size_t errors = 0;
    for (const auto &item : of_other.list_items(0)) {
        CHECK(!item && item.error().status() == px::Status::invalid_argument);
        ++errors;
    }
    CHECK(errors == 1);
}

void facts(const px::Index &index, const px::Library &movies) {
    const px::Match film = movies.match_folder("/data/movies/Exact (2001)/");
    CHECK(film && film.items() == 1 && film.files() == 2 && film.kind() == px::ItemKind::movie);
    const px::Match season = index.all_libraries().match_folder("/data/tv/The Show");
    CHECK(season && season.kind() == px::ItemKind::season && season.item()->season() == 2);
    // What is no text can be read of a result without a name.
    CHECK(movies.match(exact).item()->year() == 2001 && movies.match_paths({exact})[0].item()->kind() == px::ItemKind::movie);
    CHECK(season.item()->kind() == px::ItemKind::season && season.item()->title() == "Season 2");
    CHECK(season.item()->show_title() == "The Show");
    const px::Match root = movies.match_folder("/data/movies");
    CHECK(!root && root.candidates_total() == 1203 && root.reason() == px::Reason::several_items);

    const std::optional<px::ItemDetails> item = movies.item("900001");
    CHECK(item && item->key == "/library/metadata/900001" && item->rating_key == "900001" && item->title == "Exact");
    CHECK(item->kind == px::ItemKind::movie && item->year == 2001 && !item->season && !item->episode);
    CHECK((item->guids == std::vector<std::string>{"imdb://tt0000001", "tmdb://1"}) && item->paths.size() == 2);
    CHECK(item->paths[0] == exact && !item->guid.empty() && item->show_title.empty() && !movies.item("4"));
    const std::optional<px::ItemDetails> episode = index.all_libraries().item("/library/metadata/900013");
    CHECK(episode && episode->kind == px::ItemKind::episode && episode->season == 2 && episode->episode == 3);
    refused(px::Status::invalid_argument, "key", [&] { return movies.item("no/such"); });

    const std::vector<px::LibraryInfo> libraries = index.list_libraries();
    CHECK(libraries.size() == 5 && libraries[0].title == "Movies" && libraries[0].section == "1");
    CHECK(libraries[0].kind == px::ItemKind::movie && libraries[1].kind == px::ItemKind::show && libraries[0].items == 1203);
    CHECK(libraries[0].fresh && libraries[0].age && libraries[0].generation > 0 && !libraries[0].uuid.empty());
    CHECK(libraries[0].locations.size() == 1 && !read<px::LibraryInfo>(R"({"age_ms": null, "items": 0})")->age);
    const px::ServerInfo server = index.check_server();
    CHECK(!server.machine_identifier.empty() && !server.version.empty() && server.libraries == 5);
    CHECK(server.answered_in.count() > 0);
    const px::StoreInfo store = index.store();
    CHECK(!store.folder.empty() && store.locks && !store.locks_error && store.disk_bytes > 0 && !store.journal.empty());
    CHECK(!index.shared());
    refused(px::Status::invalid_argument, "shared", [&] { return index.shared(px::SharedAction::init); });
    refused(px::Status::invalid_argument, "shared", [&] { return index.shared(px::SharedAction::deliver); });
    refused(px::Status::invalid_argument, "shared", [&] { return index.shared(px::SharedAction::follow); });
    const auto shared = read<px::SharedStatus>(
        R"({"address": "postgresql://db/x", "reachable": true, "error": null, "taken": 3, "behind": 2, "views": [
            {"server": "m", "last": 5, "age_ms": 1500, "entries": {"probe": 1, "match": 4}, "hosts": 2, "bytes": 9}]})");
    CHECK(shared->reachable && !shared->error && shared->taken == 3u && shared->behind == 2u && !shared->undelivered);
    CHECK(shared->views.at(0).age == std::chrono::milliseconds(1500) && shared->views[0].entries.size() == 2);
    CHECK(shared->views[0].entries[0].first == "probe" && shared->views[0].entries[1].second == 4);
    const px::Statistics stats = index.stats();
    CHECK(stats.size == sizeof(plexindex_stats) && stats.items >= 1203 && stats.answers_by(px::MatchKind::exact) > 0);
    CHECK(stats.last_failure[0] == '\0' && stats.answers_by(static_cast<px::MatchKind>(77)) == 0);
    CHECK(movies.match("/else/where/Exact (2001)/Exact (2001).mkv").match_kind() == px::MatchKind::suffix);
    const std::vector<px::MappingProposal> proposals = index.propose_mappings();
    CHECK(!proposals.empty() && proposals[0].to == "/data/movies" && proposals[0].of >= proposals[0].matched);
    CHECK(proposals[0].mapping().from == "/else/where" && proposals[0].matched > 0);
    const auto tried = index.propose_mappings({"/else/where/Exact (2001)/Exact (2001).mkv", "/nowhere/x.mkv"});
    CHECK(tried.size() == 1 && tried[0].to == "/data/movies" && tried[0].gain == 1);
    refused(px::Status::invalid_argument, "count", [&] { return index.propose_mappings({std::string_view("a\0b", 3)}); });

    CHECK(index.all_libraries().match(exact) && index.library("1", px::Selector::section).match(exact));
    CHECK(index.library(libraries[0].uuid).match(exact) && index.library("movies").match(exact));
    const auto relations = px::Index::compare_paths("/a/b/c.mkv", {"/A/b/c.mkv", "/a/b", "/x/c.mkv"});
    CHECK(relations.size() == 3 && relations[0].is_equal && relations[1].is_under && relations[2].common == 1);
    CHECK(!relations[2].is_equal && !relations[2].is_under && px::Index::compare_paths("/a", {}).empty());
    const auto refused_path = px::results::Index::compare_paths("/a", {std::string_view("a\0b", 3)});
    CHECK(!refused_path && refused_path.error().status() == px::Status::invalid_argument);
    CHECK(std::strcmp(px::status_name(px::Status::not_found), "NOT_FOUND") == 0);
    CHECK(px::change_kind_name(px::ChangeKind::list_again) == "LIST_AGAIN"sv && px::log_level_name(px::LogLevel::off) == "OFF"sv);
    CHECK(px::finding_kind_name(px::Finding::Kind::left_out) == "LEFT_OUT"sv);
    CHECK(px::change_kind_name(static_cast<px::ChangeKind>(77)) == "UNKNOWN"sv && px::log_level_name(static_cast<px::LogLevel>(77)) == "UNKNOWN"sv);
    CHECK(px::finding_kind_name(static_cast<px::Finding::Kind>(77)) == "UNKNOWN"sv);
    CHECK(px::Error(px::Status::store, std::string("own")).what() == "own"sv);
    CHECK(px::match_kind_name(px::MatchKind::file_name) == "FILE_NAME"sv && px::item_kind_name(px::ItemKind::photo) == "PHOTO"sv);
    CHECK(px::confidence_name(px::Confidence::high) == "HIGH"sv && px::reason_name(px::Reason::not_listed) == "NOT_LISTED"sv);
    CHECK(px::match_kind_name(static_cast<px::MatchKind>(77)) == "UNKNOWN"sv && px::item_kind_name(static_cast<px::ItemKind>(5)) == "UNKNOWN"sv);
    CHECK(px::confidence_name(static_cast<px::Confidence>(77)) == "UNKNOWN"sv && px::reason_name(static_cast<px::Reason>(77)) == "UNKNOWN"sv);
    CHECK(px::abi_version() == PLEXINDEX_ABI_VERSION && std::strlen(px::version()) > 0);
    CHECK(std::strncmp(px::sqlite_version(), "3.", 2) == 0);
    CHECK(plexindex_lookup_key(movies.native_handle(), exact) != nullptr && index.native_handle() != nullptr);
}

// The feed, from the cursor of now on.
void changes(const px::Index &index, const px::Library &movies) {
    const px::Library all = index.all_libraries();
    const px::ChangesPage now = all.list_changes();
    CHECK(now.changes.empty() && !now.cursor.empty() && !now.more);
    CHECK(all.list_changes(now.cursor).changes.empty() && all.list_changes(now.cursor).cursor == now.cursor);
    px::ChangesOptions options;
    options.limit = 10;
    options.full = true;
    const px::ChangesPage full = movies.list_changes({}, options);
    CHECK(full.changes.size() >= 10 && full.more && full.changes[0].kind == px::ChangeKind::added);
    const px::Change &change = full.changes[0];
    CHECK(change.library == "Movies" && change.section == "1" && change.path && !change.from && !change.from_key);
    CHECK(change.item && !change.item->title.empty() && change.item->paths[0] == change.path);
    px::QueryOptions moment;
    moment.deadline = 1ms;
    moment.offline = true;
    CHECK(all.wait_for_changes(now.cursor, moment) == px::Status::not_yet);
    index.wake_waiting();
    const std::string key = harness("add New One");
    CHECK(movies.refresh(px::RefreshMode::full) == px::Status::ok && all.wait_for_changes(now.cursor) == px::Status::ok);
    const px::ChangesPage added = all.list_changes(now.cursor);
    CHECK(added.changes.size() == 1 && added.changes[0].item && added.changes[0].item->rating_key == key);
    harness("remove %s", key.c_str());
    movies.refresh(px::RefreshMode::full);
    CHECK(all.list_changes(added.cursor).changes[0].kind == px::ChangeKind::removed);
    refused(px::Status::invalid_argument, "banana", [&] { return movies.list_changes("banana"); });
    refused(px::Status::list_again, "again", [&] { return movies.list_changes("c1.1.1.0.1.0.0"); });
}

// A walk over folders of this machine.
void walks(const px::Library &movies, const setting &setting) {
    const std::filesystem::path root = std::filesystem::path(setting.folder) / "walked";
    for (const char *file : {"a/one.mkv", "a/b/two.mkv", "a/b/.hidden.mkv", "c/three.mkv", "c/notes.txt"}) {
        std::filesystem::create_directories((root / file).parent_path());
        std::ofstream(root / file) << "film";
    }
    std::filesystem::create_directory_symlink(root / "a", root / "link");
    const auto found_by = [&](px::WalkOptions options, std::uint64_t &files) {
        std::vector<std::string> found;
        px::Library::Walk walk = movies.walk({root}, std::move(options));
        for (const px::Finding finding : walk) {
            CHECK(!finding.twin && finding.kind != px::Finding::Kind::other);
            const std::string name = std::filesystem::path(finding.path).lexically_relative(root).generic_string();
            found.push_back(std::string(finding.cause) + " " + name);
            CHECK(finding.cause != "linked" || finding.kind == px::Finding::Kind::left_out);
            CHECK(finding.cause != "linked" || finding.detail == (root / "a").string());
        }
        files = walk.files();
        std::sort(found.begin(), found.end());
        return found;
    };
    using Names = std::vector<std::string>;
    std::uint64_t files = 0;
    const Names films{"no_library a/b/two.mkv", "no_library a/one.mkv", "no_library c/three.mkv"};
    const auto with = [&](std::initializer_list<std::string> more) {
        Names all = films;
        all.insert(all.end(), more);
        std::sort(all.begin(), all.end());
        return all;
    };
    // The link leads to what was read already, unless no link is followed.
    CHECK(found_by({}, files) == with({"hidden a/b/.hidden.mkv", "linked link"}) && files == 4);
    px::WalkOptions options;
    options.follow_links = false;
    options.limit = 1; // a folder a call
    CHECK(found_by(options, files) == with({"hidden a/b/.hidden.mkv", " link"}) && files == 4);
    options.rules = px::Rules::all & ~px::Rules::hidden;
    CHECK(found_by(options, files) == with({"no_library a/b/.hidden.mkv", " link"}));
    options.limit = 10000;
    Names asked;
    options.enter = [&](std::string_view folder) {
        asked.push_back(std::filesystem::path(folder).lexically_relative(root).generic_string());
        return folder.substr(folder.size() - 2) != "/b";
    };
    CHECK((found_by(options, files) == Names{" link", "no_library a/one.mkv", "no_library c/three.mkv"} && files == 2));
    CHECK((asked == Names{"a", "c", "a/b"}));
    std::vector<px::Finding> kept;
    for (const px::Finding &finding : movies.walk({root / "a", root / "c"}, options)) kept.push_back(finding);
    CHECK(kept.size() == 2 && kept[0].path == (root / "a/one.mkv").string());
    options.enter = [](std::string_view folder) { return folder.substr(folder.size() - 2) != "/a"; };
    CHECK((found_by(options, files) == Names{" link", "no_library c/three.mkv"} && files == 1));
    // What it throws ends the walk, at the first folder and at a later one.
    const auto ends = [&](auto walk_of, std::size_t folders) {
        px::WalkOptions throwing;
        throwing.enter = [&folders](std::string_view) { return folders-- > 0 ? true : throw Thrown{6}; };
        auto walk = walk_of(std::move(throwing));
        try {
            for (auto at = walk.begin(); at != walk.end();) ++at;
            FAIL("it is not thrown");
        } catch (const Thrown &thrown) {
            CHECK(thrown.number == 6);
        }
        CHECK(walk.begin() == walk.end());
    };
    const px::results::Index other = px::results::Index::open(options_for(setting)).value();
    const px::results::Library of_other = other.library("Movies").value();
    for (const std::size_t folders : {std::size_t{0}, std::size_t{2}}) {
        ends([&](px::WalkOptions throwing) { return movies.walk({root}, std::move(throwing)); }, folders);
        ends([&](px::WalkOptions throwing) { return of_other.walk({root}, std::move(throwing)); }, folders);
    }
    px::Library::Walk nowhere = movies.walk({"/nowhere/at/all"}), none = movies.walk({});
    auto only = nowhere.begin();
    CHECK(only->kind == px::Finding::Kind::unreadable && only->cause == "2" && only->path == "/nowhere/at/all");
    CHECK(++only == nowhere.end() && nowhere.files() == 0 && none.begin() == none.end());
    refused(px::Status::invalid_argument, "not a full path", [&] { begin(movies.walk({"films"})); });
    const std::string two = root.string() + '\0' + root.string();
    refused(px::Status::invalid_argument, "contains a NUL", [&] { begin(movies.walk({two})); });
    refused(px::Status::invalid_argument, "contains a NUL", [&] { movies.edit_items(px::Edit().item(std::string_view("1\0002", 3)).set("title", "x")); });
    options.rules = static_cast<px::Rules>(512);
    refused(px::Status::unsupported, "walk.rules", [&] { begin(movies.walk({root}, options)); });
}

// The reader of JSON takes what RFC 8259 allows, and nothing else.
void json() {
    CHECK(read<std::string>(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\uD83D\uDE00")") ==
          "\"\\/\b\f\n\r\tA\u00e9\u20ac\U0001F600");
    CHECK(read<std::string>("\"\u00e9\u20ac\U0001F600\x7f\"") == "\u00e9\u20ac\U0001F600\x7f");
    CHECK(read<std::string>(R"("a\u0000b")") == std::string("a\0b", 3) && read<std::string>(" \"\" \r\n\t") == "");
    // Each is the inside of a text.
    for (const char *wrong :
         {R"(\)", R"(\x)", R"(\u12)", R"(\u12g4)", R"(\u+123)", R"(\uD83D)", R"(\uD83Dx)", R"(\uD83D\u0041)", R"(\uDE00)",
          R"(\uDE00\uD83D)", "\n", "\x1f", "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
          "\xF8\x88\x80\x80\x80", "\xE2\x82", "\xF0\x9F\x98", "\xFF", "\xC3\"", "\xE2\x82\""}) {
        CHECK(!read<std::string>(std::string("\"") + wrong + "\""));
        CHECK(!read<px::MappingProposal>(std::string("{\"skipped\": \"") + wrong + "\"}"));
    }
    for (const char *wrong : {"\"", "\"a", "'a'", "\"a\" 1", "\"a\",", "", "null", "1"}) CHECK(!read<std::string>(wrong));
    CHECK(read<std::uint64_t>(" 18446744073709551615 ") == UINT64_MAX && read<int>("-12") == -12 && read<int>("0") == 0);
    for (const char *wrong : {"18446744073709551616", "-1", "01", "+1", "1.0", "1e2", "0x1", "--1", "-", "1 2", "\"1\""}) {
        CHECK(!read<std::uint64_t>(wrong));
    }
    CHECK(read<bool>("true") == true && read<bool>("false") == false && !read<bool>("tru") && !read<bool>("True"));
    CHECK(read<std::optional<int>>("null").has_value() && !*read<std::optional<int>>("null"));
    CHECK(**read<std::optional<int>>("1") == 1 && !read<std::optional<int>>("nul"));
    CHECK((read<std::vector<int>>(" [ 1 , 2 ] ") == std::vector<int>{1, 2}) && read<std::vector<int>>("[]")->empty());
    for (const char *wrong : {"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "{}"}) CHECK(!read<std::vector<int>>(wrong));
    // Unknown members are skipped, and are JSON.
    const auto proposal = read<px::MappingProposal>(
        R"({"x": [1.5e-3, -0, 2E+1, {"a": {}, "b": [[], [null, true]]}], "to": "/b", "y": {}, "from": "/a", "of": 7})");
    CHECK(proposal && proposal->from == "/a" && proposal->to == "/b" && proposal->of == 7 && proposal->matched == 0);
    for (const char *value : {"1.", ".5", "1e", "-", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "nil", "tru", "["}) {
        CHECK(!read<px::MappingProposal>(std::string("{\"x\": ") + value + "}"));
    }
    CHECK(!read<px::MappingProposal>("{\"from\": 1}") && !read<px::MappingProposal>("{} {}"));
    CHECK(read<px::MappingProposal>("{}") && !read<px::MappingProposal>("{,}") && !read<px::MappingProposal>("[]"));
    CHECK(!read<px::MappingProposal>("{\"x\": " + std::string(100000, '[') + std::string(100000, ']') + "}"));
    using Kind = px::ItemKind;
    const std::pair<const char *, Kind> kinds[] = {
        {"movie", Kind::movie}, {"show", Kind::show},   {"season", Kind::season}, {"episode", Kind::episode},
        {"artist", Kind::artist}, {"album", Kind::album}, {"track", Kind::track},   {"clip", Kind::clip},
        {"photo", Kind::photo}, {"other", Kind::other}, {"", Kind::other},        {"game", Kind::other}};
    for (const auto &[word, kind] : kinds) {
        CHECK(read<px::LibraryInfo>(std::string("{\"kind\": \"") + word + "\"}")->kind == kind);
    }
}

// A page of changes, of a newer library too; and what is none.
void texts() {
    px::ChangesPage page;
    const std::string head("c1\0more\0", 8), item(R"({"rating_key": "7", "new": 1})");
    const std::string change("grew\0Films\0" "1\0/a.mkv\0\0" "7\0\0", 24), end(1, '\0');
    CHECK(px::detail::read(head + change + item + end, page) && page.cursor == "c1" && page.more && page.changes.size() == 1);
    const px::Change &one = page.changes[0];
    CHECK(one.kind == px::ChangeKind::other && one.library == "Films" && one.section == "1" && one.path == "/a.mkv");
    CHECK(!one.from && !one.from_key && one.item && one.item->rating_key == "7");
    px::ChangesPage wrong;
    CHECK(!px::detail::read(head + change + "{" + end, wrong) && !px::detail::read(std::string("c1"), wrong));
}

// A Result has what std::expected has, whichever it is.
void result() {
    using Text = px::Result<std::string>;
    const px::Error error(px::Status::offline, "no");
    Text text = std::string("a");
    const Text failed = px::Unexpected(error);
    CHECK(text && text.has_value() && *text == "a" && text->size() == 1 && text.value() == "a" && text.value_or("b") == "a");
    CHECK(!failed && failed.error().status() == px::Status::offline && failed.value_or("b") == "b");
    text.value() += "c";
    *text += "d";
    CHECK(text.transform([](const std::string &one) { return one.size(); }).value() == 3);
    CHECK(failed.transform([](const std::string &one) { return one.size(); }).error().status() == px::Status::offline);
    CHECK(text.and_then([](const std::string &one) { return px::Result<int>(static_cast<int>(one.size())); }).value() == 3);
    CHECK(!failed.and_then([](const std::string &) { return px::Result<int>(1); }));
    CHECK(Text(failed).or_else([](const px::Error &) { return Text("e"); }).value() == "e");
    const px::Result<void> none, wrong = px::Unexpected(error);
    CHECK(none && !wrong && none.and_then([] { return Text("f"); }).value() == "f");
    CHECK(!wrong.transform([] { return 1; }) && none.transform([] { return 1; }).value() == 1);
    CHECK(std::move(text).and_then([](std::string &&one) { return Text(std::move(one)); }).value() == "acd");
    none.value();
    try {
        static_cast<void>(failed.value());
        FAIL("it is not thrown");
    } catch (const px::BadResult &bad) {
        CHECK(bad.error().status() == px::Status::offline);
    }
    try {
        wrong.value();
        FAIL("it is not thrown");
    } catch (const px::Error &) {
        FAIL("it is an Error here, and none with std::expected");
    } catch (const std::exception &) {
    }
    CHECK(failed.or_else([](const px::Error &) { return Text("e"); }).value() == "e");
    const auto other = [](const px::Error &one) { return px::Error(px::Status::store, one.what()); };
    CHECK(failed.transform_error(other).error() == px::Error(px::Status::store, "no") && *Text("g").transform_error(other) == "g");
    CHECK(wrong.transform_error(other).error().status() == px::Status::store && none.transform_error(other));
    Text made = failed;
    CHECK(made == failed && made == px::Unexpected(error) && made != px::Unexpected(other(error)) && made != Text("h"));
    CHECK(made.emplace(std::string("hhh")) == "hhh" && made == std::string("hhh") && made == "hhh" && made != "h" && made != failed);
    px::Result<void> filled = wrong;
    filled.emplace();
    CHECK(filled == none && wrong != none && wrong == px::Unexpected(error));
    const Text literal = "abc", three(std::in_place, 3, 'a');
    CHECK(literal == "abc" && three == "aaa");
    const px::Result<long> wider = px::Result<int>(7), wrong_too = px::Result<int>(px::Unexpected(error));
    CHECK(wider == 7 && wrong_too == px::Unexpected(error));
    const px::Result<std::optional<px::Item>> maybe = px::Result<px::Item>(px::Item());
    CHECK(maybe && maybe->has_value());
    using Pointer = px::Result<std::unique_ptr<int>>;
    CHECK(*Pointer(std::make_unique<int>(4)).value_or(nullptr) == 4 && Pointer(px::Unexpected(error)).value_or(nullptr) == nullptr);
    static_assert(!std::is_convertible_v<px::Result<std::string>, px::Result<int>> && !std::is_convertible_v<int, Text>);
    static_assert(!std::is_convertible_v<int, px::Result<void>>);
    const Pointer pointer = Pointer(std::make_unique<int>(3)).transform([](auto one) { return one; });
    CHECK(**pointer == 3);
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
    index.all_libraries().invalidate();
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
    options.mappings = {{"/host", "/data/movies", px::Mapping::Kind::host_prefix}, {"^/m/(.*)", "/data/movies/\\1", px::Mapping::Kind::host_pattern}};
    const px::Index index = px::Index::open(options);
    const px::Library movies = index.library("Movies");
    CHECK(movies.match("/host/Exact (2001)/Exact (2001).mkv").match_kind() == px::MatchKind::mapped);
    CHECK(movies.match("/m/Exact (2001)/Exact (2001).mkv").match_kind() == px::MatchKind::mapped);
    CHECK(index.map_to_host("/data/movies/x.mkv") == "/host/x.mkv" && index.map_to_host("/other/x.mkv") == "/other/x.mkv");
    for (std::chrono::milliseconds px::Options::*time : {&px::Options::library_ttl, &px::Options::max_age, &px::Options::deadline,
                                            &px::Options::connect_timeout, &px::Options::read_timeout,
                                            &px::Options::retry_for, &px::Options::slow}) {
        px::Options wrong = options_for(setting);
        wrong.*time = -77ms;
        refused(px::Status::invalid_argument, "-77", [&] { return px::Index::open(wrong); });
    }
    px::Options wrong = options_for(setting);
    for (const auto less : {-1ms, -2ms, std::chrono::milliseconds::min()}) {
        wrong.deadline = less;
        refused(px::Status::invalid_argument, std::to_string(less.count()).c_str(), [&] { return px::Index::open(wrong); });
    }
    wrong.deadline = px::no_deadline;
    CHECK(px::Index::open(wrong).library("Movies").match(exact));
    wrong = options_for(setting);
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
    refused(px::Status::offline, "offline", [&] { return closed.check_server(); });
    px::Options by_file = options_for(setting);
    by_file.server_url.clear();
    by_file.token.clear();
    by_file.database = "/no/such/folder";
    const px::Index file = px::Index::open(by_file);
    refused(px::Status::connect, "com.plexapp.plugins.library.db", [&] { return file.check_server(); });
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
    shares(movies, setting);
    moves(setting);
    lifetimes(setting);
    errors(index, setting);
    callbacks(index);
    tables(index);
    streams(index, movies, setting);
    facts(index, movies);
    changes(index, movies);
    walks(movies, setting);
    json();
    texts();
    result();
    threads(movies);
    renewal(setting);
    logs(setting);
    options(setting);
    writes(index, movies);
    index.close();
    return 0;
}

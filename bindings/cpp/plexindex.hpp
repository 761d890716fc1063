/// @file
/// plexindex for C++17: finds the Plex item of a file. plexindex.h describes each function, and the values of Status,
/// MatchKind, Confidence, Reason and ItemKind, which `make header` writes here.
///
/// - Start with plexindex::Index::open(), Index::library() and Library::match(). Index::call() calls every other method
///   by its name, with JSON: docs/methods.md.
/// - Errors are plexindex::Error. *Not found* and *ambiguous* are answers.
/// - Any number of threads may use one object through `const`. Callbacks run on the calling thread.
/// - An Index, and each Library and Table of it, keeps the index open. A Match and its Items share their memory, and
///   outlive the index. A std::string_view is valid while its Match or an Item of that exists.
/// - Paths are the file system's bytes, or UTF-8 on Windows.
///
/// Licence: MIT OR Apache-2.0.
#ifndef PLEXINDEX_HPP
#define PLEXINDEX_HPP

#include <plexindex.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// The index of a Plex server's items, and its results.
namespace plexindex {

using std::chrono::milliseconds;

/// The outcome of a call or answer. From 100 on they are errors. A newer library may return other numbers.
enum class Status : std::int32_t {
    ok = PLEXINDEX_OK,
    not_found = PLEXINDEX_NOT_FOUND,
    ambiguous = PLEXINDEX_AMBIGUOUS,
    not_yet = PLEXINDEX_NOT_YET,
    needs_warm = PLEXINDEX_NEEDS_WARM,
    invalid_argument = PLEXINDEX_INVALID_ARGUMENT,
    null_pointer = PLEXINDEX_NULL_POINTER,
    unsupported = PLEXINDEX_UNSUPPORTED,
    buffer_too_small = PLEXINDEX_BUFFER_TOO_SMALL,
    aborted = PLEXINDEX_ABORTED,
    panic = PLEXINDEX_PANIC,
    store = PLEXINDEX_STORE,
    store_full = PLEXINDEX_STORE_FULL,
    connect = PLEXINDEX_CONNECT,
    tls = PLEXINDEX_TLS,
    unauthorized = PLEXINDEX_UNAUTHORIZED,
    forbidden = PLEXINDEX_FORBIDDEN,
    not_on_server = PLEXINDEX_NOT_ON_SERVER,
    not_plex = PLEXINDEX_NOT_PLEX,
    starting = PLEXINDEX_STARTING,
    bad_answer = PLEXINDEX_BAD_ANSWER,
    server_error = PLEXINDEX_SERVER_ERROR,
    timeout = PLEXINDEX_TIMEOUT,
    redirected = PLEXINDEX_REDIRECTED,
    offline = PLEXINDEX_OFFLINE,
    library_not_found = PLEXINDEX_LIBRARY_NOT_FOUND,
    library_ambiguous = PLEXINDEX_LIBRARY_AMBIGUOUS,
    list_again = PLEXINDEX_LIST_AGAIN,
    not_fetched = PLEXINDEX_NOT_FETCHED,
};

/// Returns whether a status is an error, not an answer.
[[nodiscard]] constexpr bool is_error(Status status) noexcept { return static_cast<std::int32_t>(status) >= 100; }

/// How an item was found.
enum class MatchKind : std::uint8_t {
    none = PLEXINDEX_MATCH_NONE,
    confirmed = PLEXINDEX_MATCH_CONFIRMED,
    exact = PLEXINDEX_MATCH_EXACT,
    mapped = PLEXINDEX_MATCH_MAPPED,
    suffix = PLEXINDEX_MATCH_SUFFIX,
    file_name = PLEXINDEX_MATCH_FILE_NAME,
};

/// How certain an answer is. Write only to items of high confidence.
enum class Confidence : std::uint8_t {
    none = PLEXINDEX_CONFIDENCE_NONE,
    low = PLEXINDEX_CONFIDENCE_LOW,
    high = PLEXINDEX_CONFIDENCE_HIGH,
};

/// Why there is no single item, or what speaks for it or against it.
enum class Reason : std::uint8_t {
    none = PLEXINDEX_REASON_NONE,
    no_location = PLEXINDEX_REASON_NO_LOCATION,
    not_listed = PLEXINDEX_REASON_NOT_LISTED,
    not_fetched = PLEXINDEX_REASON_NOT_FETCHED,
    several_items = PLEXINDEX_REASON_SEVERAL_ITEMS,
    several_libraries = PLEXINDEX_REASON_SEVERAL_LIBRARIES,
    unconfirmed = PLEXINDEX_REASON_UNCONFIRMED,
    only_root_differs = PLEXINDEX_REASON_ONLY_ROOT_DIFFERS,
    several_episodes = PLEXINDEX_REASON_SEVERAL_EPISODES,
    empty = PLEXINDEX_REASON_EMPTY,
    above_locations = PLEXINDEX_REASON_ABOVE_LOCATIONS,
    unavailable = PLEXINDEX_REASON_UNAVAILABLE,
    not_asked = PLEXINDEX_REASON_NOT_ASKED,
    same_name = PLEXINDEX_REASON_SAME_NAME,
    same_file = PLEXINDEX_REASON_SAME_FILE,
    size_differs = PLEXINDEX_REASON_SIZE_DIFFERS,
    same_size = PLEXINDEX_REASON_SAME_SIZE,
};

/// The type of an item, folder or library, with Plex's numbers. A library of films is `movie`, one of music `artist`.
enum class ItemKind : std::int32_t {
    other = PLEXINDEX_KIND_OTHER,
    movie = PLEXINDEX_KIND_MOVIE,
    show = PLEXINDEX_KIND_SHOW,
    season = PLEXINDEX_KIND_SEASON,
    episode = PLEXINDEX_KIND_EPISODE,
    artist = PLEXINDEX_KIND_ARTIST,
    album = PLEXINDEX_KIND_ALBUM,
    track = PLEXINDEX_KIND_TRACK,
    clip = PLEXINDEX_KIND_CLIP,
    photo = PLEXINDEX_KIND_PHOTO,
};

/// How Index::library() finds a library.
enum class Selector : std::int32_t {
    any = PLEXINDEX_SELECT_ANY,         ///< A uuid, else a title, else a section id, else a title but for case.
    title = PLEXINDEX_SELECT_TITLE,     ///< A title.
    section = PLEXINDEX_SELECT_SECTION, ///< A section id, such as `1`.
    uuid = PLEXINDEX_SELECT_UUID,       ///< A uuid.
    all = PLEXINDEX_SELECT_ALL,         ///< All libraries; the name is empty.
};

/// How much Library::refresh() does.
enum class RefreshMode : std::uint32_t {
    if_due = 0,                    ///< Asks the server where a listing has expired or an event named a change.
    probe = PLEXINDEX_QUERY_PROBE, ///< Asks the server for changes with one request, however fresh the listing is.
    full = PLEXINDEX_QUERY_FULL,   ///< Fetches a full listing.
};

/// The level of a log line, or of the lines that plexindex keeps.
enum class LogLevel : std::int32_t {
    off = PLEXINDEX_LOG_OFF,     ///< Nothing.
    error = PLEXINDEX_LOG_ERROR, ///< Errors.
    warn = PLEXINDEX_LOG_WARN,   ///< Errors and warnings.
    info = PLEXINDEX_LOG_INFO,   ///< Also fetches, refreshes and invalidated libraries.
    debug = PLEXINDEX_LOG_DEBUG, ///< Everything, with full paths.
};

/// Options::library_ttl and PutOptions::ttl: never fresh.
inline constexpr milliseconds ttl_at_once{PLEXINDEX_TTL_AT_ONCE};
/// Options::library_ttl and PutOptions::ttl: fresh until it is invalidated or replaced.
inline constexpr milliseconds ttl_never{PLEXINDEX_TTL_NEVER};
/// Options::retry_for: never retry a failed request.
inline constexpr milliseconds no_retry{PLEXINDEX_NO_RETRY};
/// Options::slow: no call is slow.
inline constexpr milliseconds never_slow{PLEXINDEX_NEVER_SLOW};
/// The options named `timeout`: the call has no timeout.
inline constexpr milliseconds no_timeout = milliseconds::max();

/// Returns the version of the loaded library, such as `0.1.0`; PLEXINDEX_VERSION_NUMBER is that of the header.
inline const char *version() noexcept { return plexindex_get_version(); }
/// Return a name, such as `NOT_FOUND`, or `UNKNOWN`.
inline const char *status_name(Status status) { return plexindex_get_status_name(static_cast<int>(status)); }
inline const char *match_kind_name(MatchKind kind) { return plexindex_get_match_kind_name(static_cast<int>(kind)); }
inline const char *confidence_name(Confidence one) { return plexindex_get_confidence_name(static_cast<int>(one)); }
inline const char *reason_name(Reason reason) { return plexindex_get_reason_name(static_cast<int>(reason)); }
inline const char *item_kind_name(ItemKind kind) { return plexindex_get_kind_name(static_cast<int>(kind)); }

/// An error. what() names the input and the remedy.
class Error : public std::runtime_error {
public:
    Error(Status status, const std::string &text) : std::runtime_error(text), status_(status) {}
    Status status() const noexcept { return status_; } ///< Returns the status.

private:
    Status status_;
};

/// A path for a call: text or a std::filesystem::path, which must exist during the call.
class PathRef {
public:
    template <class Text, class = std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>>>
    /*implicit*/ PathRef(const Text &text) noexcept : bytes_(text) {} ///< Of text.
    PathRef(std::nullptr_t) = delete;
    /*implicit*/ PathRef(const std::filesystem::path &path) { ///< Of a path.
        const auto text = path.u8string(); // only Windows converts the path
        copy_.assign(text.begin(), text.end());
    }
    std::string_view bytes() const noexcept { return copy_.empty() ? bytes_ : copy_; } ///< Returns its bytes.

private:
    std::string_view bytes_;
    std::string copy_; // of a path
};

/// Paths or keys for one call: a copy of any range of text or std::filesystem::path.
class Paths {
public:
    Paths() = default;
    template <class Range, class = std::enable_if_t<!std::is_convertible_v<Range, PathRef>>,
              class = decltype(PathRef(*std::begin(std::declval<Range &>())))>
    /*implicit*/ Paths(Range &&paths) {
        for (auto &&path : paths) add(path);
    }
    /*implicit*/ Paths(std::initializer_list<PathRef> paths) {
        for (const PathRef &path : paths) add(path);
    }

    /// Adds a path. Throws Status::invalid_argument for one that contains a NUL.
    void add(PathRef path) {
        if (path.bytes().find('\0') != std::string_view::npos)
            throw Error(Status::invalid_argument, "a path or key contains a NUL");
        text_.append(path.bytes()).push_back('\0'), ++count_;
    }
    std::size_t size() const noexcept { return count_; }     ///< Returns how many there are.
    const std::string &text() const noexcept { return text_; } ///< Returns them as one text, each followed by a NUL.

private:
    std::string text_;
    std::size_t count_ = 0;
};

/// A rule between paths of the host and of the server.
struct Mapping {
    /// The rule's direction, and what `from` is.
    enum class Kind : std::int32_t {
        host_prefix = PLEXINDEX_MAPPING_HOST_PREFIX,       ///< `from` is a folder of the host, `to` the server's.
        host_pattern = PLEXINDEX_MAPPING_HOST_PATTERN,     ///< `from` is a pattern over the host's paths.
        server_prefix = PLEXINDEX_MAPPING_SERVER_PREFIX,   ///< `from` is a folder of the server, `to` the host's.
        server_pattern = PLEXINDEX_MAPPING_SERVER_PATTERN, ///< `from` is a pattern over the server's paths.
    };
    std::string from{};            ///< A folder, or a regular expression without look-around and backreferences.
    std::string to{};              ///< What replaces it: a folder, or a text with `\1`, `\g<1>` or `\g<name>`.
    Kind kind = Kind::host_prefix; ///< The rule's direction, and what `from` is.
};

/// How to open an index. Zero means the default. Negative times are refused, except constants such as ttl_never.
struct Options {
    std::filesystem::path cache_dir{}; ///< The store's folder. Required. plexindex creates it.
    std::string server_url{};          ///< The server's base URL. Without it the store or `database` answers.
    std::string token{};               ///< The token. plexindex sends it to this server only, and never stores it.
    std::string user{};              ///< A name for the token's user. Set it if the token changes. Default: the token.
    std::filesystem::path ca_file{}; ///< A PEM file with the authorities, or the server's certificate, to trust.
    milliseconds library_ttl{0};     ///< How long a listing is fresh. Default: one hour. ttl_at_once, ttl_never.
    milliseconds max_age{0};         ///< When plexindex fetches a full listing in any case. Default: 24 hours.
    milliseconds timeout{0};        ///< The default timeout of calls. Default: no_timeout.
    milliseconds connect_timeout{0}; ///< How long connecting may take. Default: 5 s.
    milliseconds read_timeout{0};    ///< How long the server may be silent. Default: 60 s.
    milliseconds retry_for{0};       ///< How long plexindex retries a failed request. Default: 30 s. no_retry.
    milliseconds slow{0};            ///< plexindex logs a call that takes this long. Default: 1 s. never_slow.
    std::uint64_t matches_limit = 0; ///< How many bytes recorded matches may take. Default: 50 MiB, with `shared` 500.
    std::uint64_t size_limit = 0;    ///< How many bytes the folder may take. Default: no limit.
    /// Plex's own database, its folder, or the folder 'Plex Media Server'. It needs neither URL nor token.
    std::filesystem::path database{};
    /// A PostgreSQL database through which hosts share matches, `postgresql://user@host/database`.
    std::string shared{};
    milliseconds stale_answer_timeout{0}; ///< How long a query that a listing can answer waits. Default: 2 s.
    bool shared_durable = false;  ///< A write returns once it is on the disk of `shared`.
    std::uint32_t page_size = 0; ///< Rows of a request, up to 1,000. Default: 1,000.
    /// The lines that drain_log() returns. The whole process has one level.
    LogLevel log_level = LogLevel::warn;
    bool offline = false;              ///< plexindex never sends a request.
    bool accept_invalid_certs = false; ///< Accept any certificate.
    bool no_mmap = false;              ///< Read index files into memory instead of mapping them.
    bool obfuscate_paths = false;      ///< Log lines and errors name media paths by a short hash.
    std::vector<Mapping> mappings{};   ///< Rules between the host's paths and the server's.
};

/// How far a fetch has come. `library` is valid during the callback.
struct Progress {
    std::string_view library; ///< The library's title. Empty while the call waits for something else.
    std::uint64_t items;      ///< Items fetched so far.
    std::uint64_t total;      ///< Items in all; 0 if unknown.
    milliseconds elapsed;     ///< Since the call began to fetch.
};

/// How to answer a query.
struct QueryOptions {
    /// How long the call may take. Less than 1 ms counts as 1 ms. no_timeout. Default: Options::timeout.
    std::optional<milliseconds> timeout{};
    bool offline = false; ///< The call sends no request.
    /// match() and match_paths() return Status::not_yet instead of waiting. Other calls refuse it.
    bool at_once = false;
    bool check = false; ///< First asks the server for changes, even if the listing is fresh.
    /// The file's size in bytes, for match(). 0: plexindex reads the size from the disk if it is needed.
    std::uint64_t size = 0;
    bool no_size = false;    ///< match() and match_paths() do not read sizes. Other calls refuse it.
    bool with_files = false; ///< Items have a file(). Other calls than match() and match_paths() refuse it.
    /// Runs on this thread while the call waits. `false` ends the call with Status::aborted. An exception ends the call
    /// too, which then throws it. The function must not close the index.
    std::function<bool(const Progress &)> progress{};
};

/// How to store values in tables.
struct PutOptions {
    milliseconds ttl{0}; ///< How long the value lives. Default: one hour. ttl_at_once, ttl_never.
    /// How many bytes the table may take. Beyond that plexindex removes its oldest entries. Default: no limit.
    std::uint64_t limit = 0;
};

/// The limits of Index::call().
struct CallOptions {
    std::optional<milliseconds> timeout{};           ///< As QueryOptions::timeout.
    std::function<bool(const Progress &)> progress{}; ///< As QueryOptions::progress.
};

/// The answer of a method.
struct Reply {
    Status status = Status::ok; ///< Status::ok, or another status that the method describes.
    std::string json{};         ///< A JSON object in UTF-8.
};

// For this header only.
namespace detail {

/// An open handle, which the index and its libraries and tables share. The last of them closes it.
struct Opened {
    plexindex_handle *handle = nullptr;
    ~Opened() { plexindex_close(handle, nullptr); }
};

/// A handle of a library or table, which keeps the index open. It is NULL after Index::close().
template <class Handle> struct Ref {
    std::shared_ptr<Opened> opened;
    const Handle *handle = nullptr;

    const Handle *get() const noexcept { return index() == nullptr ? nullptr : handle; }
    plexindex_handle *index() const noexcept { return opened == nullptr ? nullptr : opened->handle; }
};

inline plexindex_bytes bytes(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// Makes a fast lookup, and copies what it finds. A text that contains a NUL is not known.
template <class Lookup> std::optional<std::string> look_up(PathRef path, Lookup lookup) {
    if (path.bytes().find('\0') != std::string_view::npos) return std::nullopt;
    const char *const found = lookup(std::string(path.bytes()).c_str());
    return found == nullptr ? std::nullopt : std::optional<std::string>(found);
}

inline std::uint32_t flag_if(bool is_set, std::uint32_t flag) noexcept { return is_set ? flag : 0; }

inline std::int64_t timeout_ms(const std::optional<milliseconds> &timeout) noexcept {
    if (!timeout.has_value()) return 0;
    if (*timeout == no_timeout) return PLEXINDEX_NO_TIMEOUT;
    // 0 and -1 have other meanings in C. `end - now` is negative when the time is up.
    return std::max<std::int64_t>(1, timeout->count());
}

/// Returns the status, or throws an error with this text and answer.
inline Status checked(std::int32_t status, const plexindex_error &error) {
    if (status < 100) return static_cast<Status>(status);
    // This header passes no other NULL.
    const bool is_null = status == PLEXINDEX_NULL_POINTER;
    throw Error(static_cast<Status>(status), is_null ? "the index is closed, or moved from" : error.text);
}

/// Calls a C function, and throws its error.
template <class Function, class... Arguments> Status call(Function function, const Arguments &...arguments) {
    plexindex_error error;
    const std::int32_t status = function(arguments..., plexindex_error_init(&error));
    return checked(status, error);
}

/// Memory that a call filled, and the status of that call.
struct Block {
    /// Calls with memory of this size, and again with more if necessary.
    template <class Call> Block(std::size_t size, Call fill) {
        plexindex_error error;
        std::int32_t result = PLEXINDEX_BUFFER_TOO_SMALL;
        while (result == PLEXINDEX_BUFFER_TOO_SMALL && size > buffer.capacity) {
            words.reset(new std::uint64_t[size / sizeof(std::uint64_t) + 1]); // not set to zero
            buffer = {words.get(), size, 0};
            result = fill(&buffer, plexindex_error_init(&error));
            size = buffer.length;
        }
        status = checked(result, error);
    }
    std::string text() const { return {reinterpret_cast<const char *>(words.get()), buffer.length}; }
    std::optional<std::string> value() const {
        return status == Status::ok ? std::optional<std::string>(text()) : std::nullopt;
    }

    std::unique_ptr<std::uint64_t[]> words;
    plexindex_buffer buffer{};
    Status status{};
};

/// A record of a block. Its copies share the block; it has no move, so that every copy keeps its block.
template <class T> struct Record {
    Record(const std::shared_ptr<const Block> &memory, const T *found) noexcept : block(memory), record(found) {}
    Record(const Record &) noexcept = default;
    Record &operator=(const Record &) noexcept = default;

    const T *operator->() const noexcept { return record; }
    std::string_view text(const plexindex_text &text) const noexcept {
        const char *const data = plexindex_get_text(&block->buffer, &text);
        return data == nullptr ? std::string_view() : std::string_view(data, text.length);
    }

    std::shared_ptr<const Block> block;
    const T *record;
};

/// Calls a function of the host from C, through which nothing may be thrown. Returns what it threw.
template <class Function> std::exception_ptr shielded(const Function &function) {
    try {
        return function(), nullptr;
    } catch (...) {
        return std::current_exception();
    }
}

/// A plexindex_query or plexindex_call_options, and what the progress function threw.
template <class Raw> struct Limited : Raw {
    template <class Options> explicit Limited(const Options &options) : Raw{}, function(options.progress) {
        this->size = sizeof(Raw);
        this->timeout_ms = detail::timeout_ms(options.timeout);
        if (function) this->progress = report, this->progress_user = this;
    }
    Limited(const Limited &) = delete;
    Limited &operator=(const Limited &) = delete;

    /// Returns the status of the call, or throws what the function threw.
    std::int32_t ended(std::int32_t status) const {
        if (thrown != nullptr) std::rethrow_exception(thrown);
        return status;
    }
    static std::int32_t report(void *user, const plexindex_progress *raw) {
        auto &self = *static_cast<Limited *>(user);
        bool goes_on = false;
        const auto ask = [&] {
            const std::string_view library(raw->library.data == nullptr ? "" : raw->library.data, raw->library.length);
            const milliseconds elapsed(static_cast<milliseconds::rep>(raw->elapsed_ms));
            goes_on = self.function(Progress{library, raw->items, raw->total, elapsed});
        };
        if (self.thrown == nullptr) self.thrown = shielded(ask);
        return goes_on ? 0 : 1;
    }

    const std::function<bool(const Progress &)> &function;
    std::exception_ptr thrown{};
};

} // namespace detail

/// What Plex lists of a matching file. Copies share its memory. An unknown text is empty, an unknown number 0.
class File {
public:
    std::uint64_t size() const noexcept { return record_->size_bytes; }       ///< Its size in bytes.
    std::uint64_t part_id() const noexcept { return record_->part_id; }       ///< Plex's id of the part: of the file.
    std::uint64_t media_id() const noexcept { return record_->media_id; }     ///< Plex's id of the version.
    milliseconds duration() const noexcept { return milliseconds(static_cast<milliseconds::rep>(record_->duration_ms)); }
    std::uint32_t part() const noexcept { return record_->part; }         ///< Which part of the version, from 1.
    std::uint32_t parts() const noexcept { return record_->parts; }       ///< How many parts the version has.
    std::uint32_t version() const noexcept { return record_->version; }   ///< Which version of the item, from 1.
    std::uint32_t versions() const noexcept { return record_->versions; } ///< How many versions the item has.
    std::string_view resolution() const noexcept { return record_.text(record_->resolution); } ///< `4k`, `1080`, `sd`.
    std::string_view container() const noexcept { return record_.text(record_->container); }   ///< Such as `mkv`.
    /// Returns whether Plex made the version itself ('Optimized Versions').
    bool is_optimized() const noexcept { return (record_->flags & PLEXINDEX_FILE_OPTIMIZED) != 0; }

private:
    friend class Item;
    File(const std::shared_ptr<const detail::Block> &block, const plexindex_file *record) : record_{block, record} {}

    detail::Record<plexindex_file> record_;
};

/// An item of a match. Copies share its memory. An unknown text is empty. Texts except path() are UTF-8.
class Item {
public:
    std::string_view key() const noexcept { return text(record_->key); } ///< `/library/metadata/<rating key>`.
    std::string_view rating_key() const noexcept { return text(record_->rating_key); } ///< Plex's rating key.
    std::string_view title() const noexcept { return text(record_->title); } ///< The title; of an episode its own.
    std::string_view guid() const noexcept { return text(record_->guid); }   ///< The scalar GUID.
    std::string_view show_title() const noexcept { return text(record_->show_title); } ///< Of a track the artist's.
    std::string_view show_rating_key() const noexcept { return text(record_->show_rating_key); } ///< Show's, artist's.
    std::string_view show_guid() const noexcept { return text(record_->show_guid); } ///< That of the show or artist.
    /// Returns the listed path that fits, as the server spells it; for a recorded match the recorded path.
    std::string_view path() const noexcept { return text(record_->path); }
    std::string_view section() const noexcept { return text(record_->section); } ///< The section id of its library.
    std::string_view library_title() const noexcept { return text(record_->library_title); } ///< Its library's title.
    ItemKind kind() const noexcept { return static_cast<ItemKind>(record_->kind); }          ///< Its type.
    std::optional<int> year() const noexcept { return number(record_->year, 1); }            ///< The year.
    std::optional<int> season() const noexcept { return number(record_->season, 0); } ///< The season; a track's disc.
    std::optional<int> episode() const noexcept { return number(record_->episode, 0); } ///< Of the episode or track.
    bool is_path_utf8() const noexcept { return (record_->flags & PLEXINDEX_ITEM_PATH_NOT_UTF8) == 0; }
    /// Returns whether only the key is known: the match was recorded, and no listing has the item.
    bool is_key_only() const noexcept { return (record_->flags & PLEXINDEX_ITEM_KEY_ONLY) != 0; }
    /// Returns the file that matched, if QueryOptions::with_files asked for it and the listing has it.
    std::optional<File> file() const {
        const plexindex_file *const one = plexindex_get_file(&record_.block->buffer, record_.record);
        return one == nullptr ? std::nullopt : std::optional<File>(File(record_.block, one));
    }

private:
    friend class Match;
    Item(const std::shared_ptr<const detail::Block> &block, const plexindex_item *record) : record_{block, record} {}
    std::string_view text(const plexindex_text &text) const noexcept { return record_.text(text); }
    static std::optional<int> number(int number, int least) noexcept {
        return number < least ? std::nullopt : std::optional<int>(number);
    }

    detail::Record<plexindex_item> record_;
};

/// The answer for one path. A copy shares its memory.
class Match {
public:
    /// Returns ok, not_found, ambiguous, not_yet or needs_warm. After match_paths() also the error of this path.
    Status status() const noexcept { return static_cast<Status>(record_->status); }
    /// Returns whether there is a single item with high confidence.
    explicit operator bool() const noexcept { return status() == Status::ok && confidence() == Confidence::high; }
    MatchKind match_kind() const noexcept { return static_cast<MatchKind>(record_->match_kind); }
    Confidence confidence() const noexcept { return static_cast<Confidence>(record_->confidence); }
    /// Returns why there is no single item, or what speaks for it or against it.
    Reason reason() const noexcept { return static_cast<Reason>(record_->reason); }
    /// Returns the reason or the error as a sentence.
    std::string_view message() const & noexcept { return record_.text(record_->message); }
    void message() && = delete; // the match owns the text
    /// Returns the single item with high confidence.
    std::optional<Item> sure() const & {
        const plexindex_item *const one = plexindex_get_sure_item(&record_.block->buffer, record_.record);
        return one == nullptr ? std::nullopt : std::optional<Item>(Item(record_.block, one));
    }
    void sure() && = delete;
    /// Returns the single item with low confidence. The file may be another work: verify the item before a change.
    std::optional<Item> likely() const & {
        if (status() != Status::ok || confidence() != Confidence::low) return std::nullopt;
        return Item(record_.block, plexindex_get_candidate(&record_.block->buffer, record_.record, 0));
    }
    void likely() && = delete;
    /// Returns at most 16 items that fit, best first.
    std::vector<Item> candidates() const & {
        std::vector<Item> all;
        for (std::size_t i = 0; i < record_->candidates_count; ++i)
            all.push_back(Item(record_.block, plexindex_get_candidate(&record_.block->buffer, record_.record, i)));
        return all;
    }
    void candidates() && = delete;
    std::size_t candidates_total() const noexcept { return record_->candidates_total; } ///< How many fit in all.
    bool is_stale() const noexcept { return (record_->flags & PLEXINDEX_ANSWER_STALE) != 0; }
    /// Returns the time since plexindex last asked the server about this listing.
    std::optional<milliseconds> age() const noexcept {
        return record_->age_ms < 0 ? std::nullopt : std::optional<milliseconds>(record_->age_ms);
    }

private:
    friend class Library;
    Match(const std::shared_ptr<const detail::Block> &block, std::size_t place)
        : record_{block, plexindex_get_answer(&block->buffer, place)} {}

    detail::Record<plexindex_answer> record_;
};

/// A library of an index, or all of them. It keeps the index open. A copy is the same library.
class Library {
public:
    /// Returns the key (`/library/metadata/<rating key>`) of the item with this path, if the index has it at hand with
    /// high confidence. Otherwise ask match(). The lookup never fails, sends no request, and waits 200 ms at most.
    [[nodiscard]] std::optional<std::string> lookup_key(PathRef path) const {
        return detail::look_up(path, [&](const char *text) { return plexindex_lookup_key(library_.get(), text); });
    }
    /// lookup_key() for many paths. A key that is not at hand is empty.
    [[nodiscard]] std::vector<std::string> lookup_keys(const Paths &paths) const {
        const detail::Block block(64 + paths.size() * 32, [&](auto *out, auto *error) {
            return plexindex_lookup_keys(library_.get(), paths.text().data(), paths.text().size(), paths.size(), out,
                                         error);
        });
        std::vector<std::string> keys;
        const std::string all = block.text();
        for (std::size_t at = 0; at < all.size(); at += keys.back().size() + 1) keys.emplace_back(all.c_str() + at);
        return keys;
    }

    /// Returns the full answer for one path. Asks the server if necessary.
    [[nodiscard]] Match match(PathRef path, const QueryOptions &options = {}) const {
        return Match(ask(path.bytes(), options, 8 * 1024, plexindex_match_path), 0);
    }
    /// match() for many paths: one answer each, in order, each with its own status.
    [[nodiscard]] std::vector<Match> match_paths(const Paths &paths, const QueryOptions &options = {}) const {
        const auto match = [count = paths.size()](auto *index, auto *query, auto *block, auto *error) {
            return plexindex_match_paths(index, query, count, block, error);
        };
        // Large enough for most answers: a second call costs more than unused memory.
        const auto block = ask(paths.text(), options, 4096 + paths.size() * 384 + paths.text().size() * 2, match);
        std::vector<Match> all;
        for (std::size_t i = 0; i < plexindex_count_answers(&block->buffer); ++i) all.push_back(Match(block, i));
        return all;
    }

    /// Records that the item with this key has this path. The match is stored when the call returns, and answers first.
    /// plexindex asks the server only about an unknown library. Throws Status::timeout if the timeout passes first.
    void record_match(PathRef path, std::string_view key, std::optional<milliseconds> timeout = {}) const {
        detail::call(plexindex_record_match, library_.get(), path.bytes().data(), path.bytes().size(), key.data(),
                     key.size(), detail::timeout_ms(timeout));
    }
    /// record_match() for many paths and their keys: all, or none. `through`: PLEXINDEX_RECORD_THROUGH.
    void record_matches(const Paths &paths, const Paths &keys, std::optional<milliseconds> timeout = {},
                        bool through = false) const {
        detail::call(plexindex_record_matches, library_.get(), paths.text().data(), paths.text().size(),
                     keys.text().data(), keys.text().size(), paths.size(),
                     detail::flag_if(through, PLEXINDEX_RECORD_THROUGH), detail::timeout_ms(timeout));
    }
    /// Invalidates a path. plexindex verifies its item before it answers again.
    void invalidate_path(PathRef path) const {
        detail::call(plexindex_invalidate_path, library_.get(), path.bytes().data(), path.bytes().size());
    }
    /// Invalidates all paths of an item by its key or rating key, for example after a 404 of the server.
    void invalidate_item(std::string_view key) const {
        detail::call(plexindex_invalidate_item, library_.get(), key.data(), key.size());
    }
    /// Invalidates the library, or all: the next call that may ask the server fetches a full listing.
    void invalidate() const { detail::call(plexindex_invalidate_library, library_.get()); }
    /// Brings the library up to date. Returns Status::not_yet or Status::needs_warm if the timeout passed first. If no
    /// library was known, throws Status::timeout.
    Status refresh(RefreshMode mode = RefreshMode::if_due, const QueryOptions &options = {}) const {
        const auto refresh = [](auto *index, auto *query, auto *, auto *error) {
            return plexindex_refresh(index, query, error);
        };
        return ask({}, options, 1, refresh, static_cast<std::uint32_t>(mode))->status;
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    const plexindex_library_handle *native_handle() const noexcept { return library_.get(); }

private:
    friend class Index;
    Library() = default;

    template <class Ask>
    std::shared_ptr<const detail::Block> ask(std::string_view text, const QueryOptions &options, std::size_t size,
                                             Ask function, std::uint32_t flags = 0) const {
        detail::Limited<plexindex_query> query(options);
        query.library = library_.get();
        query.text = detail::bytes(text);
        query.flags = flags | detail::flag_if(options.offline, PLEXINDEX_QUERY_OFFLINE) |
                      detail::flag_if(options.at_once, PLEXINDEX_QUERY_AT_ONCE) |
                      detail::flag_if(options.check, PLEXINDEX_QUERY_PROBE) |
                      detail::flag_if(options.no_size, PLEXINDEX_QUERY_NO_SIZE) |
                      detail::flag_if(options.with_files, PLEXINDEX_QUERY_FILE);
        query.file_size = options.size;
        return std::make_shared<const detail::Block>(size, [&](plexindex_buffer *block, plexindex_buffer *error) {
            return query.ended(function(library_.index(), &query, block, error));
        });
    }

    detail::Ref<plexindex_library_handle> library_;
};

/// A table of the host's own values. It keeps the index open. A copy is the same table.
class Table {
public:
    /// Returns the value of a name, if the index has it at hand. Otherwise ask get(). This fast lookup never fails.
    [[nodiscard]] std::optional<std::string> lookup(std::string_view name) const {
        return detail::look_up(name, [&](const char *text) {
            const char *value = nullptr;
            plexindex_table_lookup(table_.get(), text, &value);
            return value;
        });
    }
    /// Returns the value of a name, if there is one.
    [[nodiscard]] std::optional<std::string> get(std::string_view name) const {
        const auto get = [&](auto *value, auto *error) {
            return plexindex_table_get(table_.get(), name.data(), name.size(), value, error);
        };
        return detail::Block(4096, get).value();
    }
    /// Stores a value. It replaces the value of the same name.
    void put(std::string_view name, std::string_view value, const PutOptions &options = {}) const {
        detail::call(plexindex_table_put, table_.get(), name.data(), name.size(), value.data(), value.size(),
                     options.ttl.count(), options.limit);
    }
    /// Removes an entry, if it exists.
    void remove(std::string_view name) const {
        detail::call(plexindex_table_remove, table_.get(), name.data(), name.size());
    }
    void clear() const {
        const plexindex_table_op op{PLEXINDEX_TABLE_CLEAR, 0, table_.get(), {}, {}};
        detail::call(plexindex_table_write, table_.index(), &op, std::size_t{1}, std::int64_t{0}, std::uint64_t{0});
    }
    /// Returns the names of all entries, in the order of their bytes.
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> all;
        const auto next = [&](auto *name, auto *error) {
            const char *const after = all.empty() ? nullptr : all.back().c_str();
            return plexindex_table_get_next(table_.get(), after, after ? all.back().size() : 0, name, error);
        };
        while (const auto name = detail::Block(4096, next).value()) all.push_back(*name);
        return all;
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    const plexindex_table_handle *native_handle() const noexcept { return table_.get(); }

private:
    friend class Index;
    Table() = default;

    detail::Ref<plexindex_table_handle> table_;
};

/// Changes of tables that Index::write() makes in one transaction.
class WriteBatch {
public:
    WriteBatch &put(const Table &table, std::string_view name, std::string_view value) {
        return add({PLEXINDEX_TABLE_PUT, table, std::string(name), std::string(value)});
    }
    WriteBatch &remove(const Table &table, std::string_view name) {
        return add({PLEXINDEX_TABLE_REMOVE, table, std::string(name), {}});
    }
    WriteBatch &clear(const Table &table) { return add({PLEXINDEX_TABLE_CLEAR, table, {}, {}}); }

private:
    friend class Index;
    struct Change {
        std::int32_t kind;
        Table table;
        std::string name, value;
    };
    WriteBatch &add(Change change) { return changes_.push_back(std::move(change)), *this; }

    std::vector<Change> changes_;
};

/// An open index. Its destructor closes it, after those of its libraries and tables. Move-only.
class Index {
public:
    /// Opens an index. Reads the disk only. Several handles and processes may open one folder.
    [[nodiscard]] static Index open(const Options &options) {
        if (plexindex_get_abi_version() != PLEXINDEX_ABI_VERSION)
            throw Error(Status::unsupported, "the plexindex library has another ABI version than the header that this "
                                             "program was compiled with: install matching versions");
        std::vector<plexindex_mapping> mappings;
        for (const auto &[from, to, kind] : options.mappings)
            mappings.push_back({static_cast<std::int32_t>(kind), 0, detail::bytes(from), detail::bytes(to)});
        plexindex_options raw = plexindex_options_init();
        const PathRef cache_dir(options.cache_dir), ca_file(options.ca_file), database(options.database);
        raw.cache_dir = detail::bytes(cache_dir.bytes());
        raw.server_url = detail::bytes(options.server_url);
        raw.token = detail::bytes(options.token);
        raw.user = detail::bytes(options.user);
        raw.ca_file = detail::bytes(ca_file.bytes());
        raw.library_ttl_ms = options.library_ttl.count();
        raw.max_age_ms = options.max_age.count();
        raw.timeout_ms = options.timeout == no_timeout ? 0 : options.timeout.count();
        raw.connect_timeout_ms = options.connect_timeout.count();
        raw.read_timeout_ms = options.read_timeout.count();
        raw.retry_ms = options.retry_for.count();
        raw.matches_limit = options.matches_limit;
        raw.flags = detail::flag_if(options.offline, PLEXINDEX_OPEN_OFFLINE) |
                    detail::flag_if(options.accept_invalid_certs, PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS) |
                    detail::flag_if(options.no_mmap, PLEXINDEX_OPEN_NO_MMAP) |
                    detail::flag_if(options.obfuscate_paths, PLEXINDEX_OPEN_OBFUSCATE_PATHS) |
                    detail::flag_if(options.shared_durable, PLEXINDEX_OPEN_SHARED_DURABLE);
        raw.page_size = options.page_size;
        raw.log_level = static_cast<std::int32_t>(options.log_level);
        raw.mappings = mappings.data();
        raw.mappings_count = mappings.size();
        raw.slow_ms = options.slow.count();
        raw.size_limit = options.size_limit;
        raw.database = detail::bytes(database.bytes());
        raw.shared = detail::bytes(options.shared);
        raw.stale_answer_timeout_ms = options.stale_answer_timeout.count();
        Index index;
        index.opened_ = std::make_shared<detail::Opened>();
        detail::call(plexindex_open, &raw, &index.opened_->handle);
        return index;
    }
    /// Closes the index, and reports an error that the destructor ignores. No other call may run with it, its libraries
    /// or tables. Later calls fail with Status::null_pointer.
    void close() {
        if (opened_ == nullptr) return;
        detail::call([&](plexindex_buffer *error) {
            const std::int32_t status = plexindex_close(opened_->handle, error);
            if (status != PLEXINDEX_INVALID_ARGUMENT) opened_->handle = nullptr;
            return status;
        });
    }
    /// Returns whether the index is open: neither closed nor moved from.
    bool is_open() const noexcept { return native_handle() != nullptr; }

    /// Calls a method of docs/methods.md by its name, with a JSON object or an empty request.
    Reply call(const std::string &method, std::string_view request = {}, const CallOptions &options = {}) const {
        detail::Limited<plexindex_call_options> limits(options);
        plexindex_error error;
        char *json = nullptr;
        const std::int32_t status = plexindex_call(native_handle(), method.c_str(), request.data(), request.size(),
                                                   &limits, &json, plexindex_error_init(&error));
        const std::unique_ptr<char, decltype(&plexindex_free)> owner(json, plexindex_free);
        Reply reply{Status::ok, json == nullptr ? "" : json};
        reply.status = detail::checked(limits.ended(status), error);
        return reply;
    }

    /// Returns the library with this title, section id or uuid. Sends no request: the first call that uses an unknown
    /// library asks the server.
    [[nodiscard]] Library library(std::string_view name, Selector by = Selector::any) const {
        Library library;
        library.library_.opened = opened_;
        detail::call(plexindex_get_library, native_handle(), static_cast<std::int32_t>(by), name.data(), name.size(),
                     &library.library_.handle);
        return library;
    }
    [[nodiscard]] Library all_libraries() const { return library({}, Selector::all); }
    /// Returns a table. The first put() creates it. `fold_ascii`: `A` to `Z` in names of entries count as `a` to `z`.
    /// `limit_all`: limits count all tables of the store, and remove from all.
    [[nodiscard]] Table table(std::string_view name, bool fold_ascii = false, bool limit_all = false) const {
        Table table;
        table.table_.opened = opened_;
        // An empty name is a name, and no NULL.
        detail::call(plexindex_get_table, native_handle(), name.empty() ? "" : name.data(), name.size(),
                     detail::flag_if(fold_ascii, PLEXINDEX_TABLE_FOLD_ASCII) |
                         detail::flag_if(limit_all, PLEXINDEX_TABLE_LIMIT_ALL),
                     &table.table_.handle);
        return table;
    }
    /// Makes many changes of tables in one transaction, in order: all, or none.
    void write(const WriteBatch &batch, const PutOptions &options = {}) const {
        std::vector<plexindex_table_op> ops;
        for (const auto &[kind, table, name, value] : batch.changes_)
            ops.push_back({kind, 0, table.native_handle(), detail::bytes(name), detail::bytes(value)});
        detail::call(plexindex_table_write, native_handle(), ops.data(), ops.size(), options.ttl.count(),
                     options.limit);
    }

    /// Replaces the token; an empty one removes it. After Status::unauthorized, set a new token and repeat the call.
    /// Without Options::user the index appears empty until the server has accepted the new token.
    void set_token(std::string_view token) const {
        detail::call(plexindex_set_token, native_handle(), token.data(), token.size());
    }
    /// Makes each waiting `changes.wait` call its progress function now. Otherwise it does so every 200 ms.
    void wake_waiting() const { detail::call(plexindex_wake_waiting, native_handle()); }
    /// Removes all that the store holds of this server and user.
    void clear() const { detail::call(plexindex_clear, native_handle()); }
    /// Passes on an event that the host received, such as the body of a webhook.
    void notify(std::string_view body) const {
        detail::call(plexindex_notify, native_handle(), body.data(), body.size());
    }
    [[nodiscard]] plexindex_stats stats() const {
        plexindex_stats stats = plexindex_stats_init();
        detail::call(plexindex_get_stats, native_handle(), &stats);
        return stats;
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    plexindex_handle *native_handle() const noexcept { return opened_ ? opened_->handle : nullptr; }

    Index(Index &&) noexcept = default;
    Index &operator=(Index &&) noexcept = default;

private:
    Index() = default;

    std::shared_ptr<detail::Opened> opened_;
};

/// Passes the waiting log lines to `receive(LogLevel, std::string_view)`, oldest first, on this thread. If `receive`
/// throws, drain_log() drops the remaining lines and throws the exception.
template <class Function> void drain_log(const Function &receive) {
    std::pair<const Function &, std::exception_ptr> lines(receive, nullptr);
    const auto take = [](void *user, std::int32_t level, const char *message, std::size_t length) {
        auto &[function, thrown] = *static_cast<decltype(lines) *>(user);
        const auto line = [&taken = function, &level, text = std::string_view(message, length)] {
            taken(static_cast<LogLevel>(level), text);
        };
        if (thrown == nullptr) thrown = detail::shielded(line);
    };
    plexindex_drain_log(take, &lines, nullptr);
    if (lines.second != nullptr) std::rethrow_exception(lines.second);
}

} // namespace plexindex

#endif // PLEXINDEX_HPP

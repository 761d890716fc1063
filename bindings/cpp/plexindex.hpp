/// @file
/// plexindex for C++17 and newer: find the Plex item of a file. Header only, over the C library.
///
/// - **Start** with plexindex::Index::open(), then Index::library(), then Library::match(). What has no function
///   here is a method that Index::call() calls by name, with JSON: docs/methods.md.
/// - **Errors** are plexindex::Error. *Not found* and *ambiguous* are answers, not errors.
/// - **Threads**: any number of threads may use one Index, Library, Table or Match at once through `const`. Callbacks
///   run on the calling thread.
/// - **Ownership**: an Index, and each Library and Table of it, keeps the index open. All else owns its memory and
///   outlives the index: a Match and its Items share a block, which the last of them frees. Only a std::string_view
///   owns nothing: it is valid while anything of its block exists. So give a match a name before you read it:
///   `library.match(path).item()` does not compile.
/// - **Moved from**: an object that was moved from is empty. Calls on it fail with Status::null_pointer.
/// - **Paths** are the file system's bytes, on Windows UTF-8: text or std::filesystem::path.
/// - **Names**: a method has the name of its C function without `plexindex_` and `get_`. plexindex.h describes each.
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

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

/// The index of a Plex server's items, and its results.
namespace plexindex {

using std::chrono::milliseconds;

/// The outcome of a call, or of one answer. 0 is success, 1 to 99 are answers, from 100 on are errors. A newer library
/// may give numbers that are not listed here.
enum class Status : std::int32_t {
    ok = PLEXINDEX_OK,                                 ///< Success; for a match: one item.
    not_found = PLEXINDEX_NOT_FOUND,                   ///< No item; Match::reason() says why.
    ambiguous = PLEXINDEX_AMBIGUOUS,                   ///< Several items fit equally well: the candidates.
    not_yet = PLEXINDEX_NOT_YET,                       ///< The deadline came first; the next call goes on.
    needs_warm = PLEXINDEX_NEEDS_WARM,                 ///< Fetch the library once without a deadline.
    invalid_argument = PLEXINDEX_INVALID_ARGUMENT,     ///< The value of an argument is refused.
    null_pointer = PLEXINDEX_NULL_POINTER,             ///< The index is closed, or the object is empty.
    unsupported = PLEXINDEX_UNSUPPORTED,               ///< This version of the library cannot do that.
    buffer_too_small = PLEXINDEX_BUFFER_TOO_SMALL,     ///< Never given by this header, which enlarges its memory.
    aborted = PLEXINDEX_ABORTED,                       ///< A progress function ended the call.
    panic = PLEXINDEX_PANIC,                           ///< A defect in plexindex was caught.
    store = PLEXINDEX_STORE,                           ///< The store fails, or no thread can be started.
    store_full = PLEXINDEX_STORE_FULL,                 ///< The disk or a limit is full. Nothing was changed.
    connect = PLEXINDEX_CONNECT,                       ///< No connection to the server.
    tls = PLEXINDEX_TLS,                               ///< The server's certificate is refused, or TLS failed.
    unauthorized = PLEXINDEX_UNAUTHORIZED,             ///< The server refuses the token.
    forbidden = PLEXINDEX_FORBIDDEN,                   ///< The server does not allow this to the token's user.
    not_on_server = PLEXINDEX_NOT_ON_SERVER,           ///< The server has no such item, library or address.
    not_plex = PLEXINDEX_NOT_PLEX,                     ///< The answer is not from a Plex Media Server.
    starting = PLEXINDEX_STARTING,                     ///< The server is starting.
    bad_answer = PLEXINDEX_BAD_ANSWER,                 ///< The server's answer is malformed.
    server_error = PLEXINDEX_SERVER_ERROR,             ///< The server failed.
    timeout = PLEXINDEX_TIMEOUT,                       ///< The server was silent for too long.
    redirected = PLEXINDEX_REDIRECTED,                 ///< The server redirects to another host.
    offline = PLEXINDEX_OFFLINE,                       ///< A request is needed and not allowed.
    library_not_found = PLEXINDEX_LIBRARY_NOT_FOUND,   ///< The server has no such library.
    library_ambiguous = PLEXINDEX_LIBRARY_AMBIGUOUS,   ///< Two libraries have this title.
    list_again = PLEXINDEX_LIST_AGAIN,                 ///< The changes since the cursor are not known: list in full.
    not_fetched = PLEXINDEX_NOT_FETCHED,               ///< Nothing is stored of the library: ask the server first.
};

/// Returns whether a status is an error, not an answer.
[[nodiscard]] constexpr bool is_error(Status status) noexcept { return static_cast<std::int32_t>(status) >= 100; }

/// How an item was found.
enum class MatchKind : std::uint8_t {
    none = PLEXINDEX_MATCH_NONE,           ///< Nothing was found.
    confirmed = PLEXINDEX_MATCH_CONFIRMED, ///< The host recorded this match.
    exact = PLEXINDEX_MATCH_EXACT,         ///< The path is listed.
    mapped = PLEXINDEX_MATCH_MAPPED,       ///< A mapping gives a listed path.
    suffix = PLEXINDEX_MATCH_SUFFIX,       ///< A listed path has the same end, of two or more components.
    file_name = PLEXINDEX_MATCH_FILE_NAME, ///< A listed path has the same file name.
};

/// How sure an answer is. Write only to items of high confidence.
enum class Confidence : std::uint8_t {
    none = PLEXINDEX_CONFIDENCE_NONE, ///< There is no item.
    low = PLEXINDEX_CONFIDENCE_LOW,   ///< The host has to verify the item.
    high = PLEXINDEX_CONFIDENCE_HIGH, ///< This is the file's item, as far as anything that is known can tell.
};

/// Why there is no single item, or what speaks for it or against it.
enum class Reason : std::uint8_t {
    none = PLEXINDEX_REASON_NONE,                           ///< There is a single item, recorded, listed or mapped.
    no_location = PLEXINDEX_REASON_NO_LOCATION,             ///< No library has a folder above this path.
    not_listed = PLEXINDEX_REASON_NOT_LISTED,               ///< A library has, but does not list the file.
    not_fetched = PLEXINDEX_REASON_NOT_FETCHED,             ///< The library was never fetched completely.
    several_items = PLEXINDEX_REASON_SEVERAL_ITEMS,         ///< Several items fit equally well.
    several_libraries = PLEXINDEX_REASON_SEVERAL_LIBRARIES, ///< Several libraries list it.
    unconfirmed = PLEXINDEX_REASON_UNCONFIRMED,             ///< It was invalidated and is not verified since.
    only_root_differs = PLEXINDEX_REASON_ONLY_ROOT_DIFFERS, ///< A mapping is missing. High confidence.
    path_tells = PLEXINDEX_REASON_PATH_TELLS,               ///< The path holds title and year, or number. High.
    no_evidence = PLEXINDEX_REASON_NO_EVIDENCE,             ///< Only the end of the path is the same. Low.
    contradicted = PLEXINDEX_REASON_CONTRADICTED,           ///< Another year, number, edition; an extra, a copy. Low.
    several_episodes = PLEXINDEX_REASON_SEVERAL_EPISODES,   ///< The file has several episodes: the candidates.
    empty = PLEXINDEX_REASON_EMPTY,                         ///< No listed file is below the folder.
    above_locations = PLEXINDEX_REASON_ABOVE_LOCATIONS,     ///< The folder lies above those of libraries.
    unavailable = PLEXINDEX_REASON_UNAVAILABLE,             ///< The server, which may have it, gave no answer.
};

/// The type of an item, folder or library, with Plex's numbers. A library of films is `movie`, one of music `artist`.
enum class ItemKind : std::int32_t {
    other = PLEXINDEX_KIND_OTHER,    ///< Unknown, or none of these.
    movie = PLEXINDEX_KIND_MOVIE,    ///< A film or home video.
    show = PLEXINDEX_KIND_SHOW,      ///< A show.
    season = PLEXINDEX_KIND_SEASON,  ///< A season.
    episode = PLEXINDEX_KIND_EPISODE,///< An episode.
    artist = PLEXINDEX_KIND_ARTIST,  ///< An artist.
    album = PLEXINDEX_KIND_ALBUM,    ///< An album.
    track = PLEXINDEX_KIND_TRACK,    ///< A track.
    clip = PLEXINDEX_KIND_CLIP,      ///< A clip or trailer.
    photo = PLEXINDEX_KIND_PHOTO,    ///< A photo.
};

/// What the name of a library is, for Index::library().
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

/// The level of a log line, or the lines that are kept.
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
/// Options::retry_for: a request that failed is not tried again.
inline constexpr milliseconds no_retry{PLEXINDEX_NO_RETRY};
/// Options::slow: no call is slow.
inline constexpr milliseconds never_slow{PLEXINDEX_NEVER_SLOW};
/// Options::deadline, QueryOptions::deadline and CallOptions::deadline: calls take as long as they take.
inline constexpr milliseconds no_deadline = milliseconds::max();

/// Returns the version of the library that runs, such as `0.1.0`. That of the headers is PLEXINDEX_VERSION_NUMBER.
inline const char *version() noexcept { return plexindex_get_version(); }
/// Return a name, such as `NOT_FOUND`; `UNKNOWN` for a number without one.
/// @{
inline const char *status_name(Status status) { return plexindex_get_status_name(static_cast<int>(status)); }
inline const char *match_kind_name(MatchKind kind) { return plexindex_get_match_kind_name(static_cast<int>(kind)); }
inline const char *confidence_name(Confidence one) { return plexindex_get_confidence_name(static_cast<int>(one)); }
inline const char *reason_name(Reason reason) { return plexindex_get_reason_name(static_cast<int>(reason)); }
inline const char *item_kind_name(ItemKind kind) { return plexindex_get_kind_name(static_cast<int>(kind)); }
/// @}

/// An error: a status, and what() with a text that names the input and the remedy.
class Error : public std::runtime_error {
public:
    /// Makes one of this status and text.
    Error(Status status, const std::string &text, const std::string &json = {})
        : std::runtime_error(text), status_(status), json_(std::make_shared<const std::string>(json)) {}
    Status status() const noexcept { return status_; } ///< Returns which error it is.
    /// Returns the answer of a method that has one also when it fails, as `edit` has; empty for all others.
    const std::string &json() const noexcept { return *json_; }

private:
    Status status_;
    std::shared_ptr<const std::string> json_; // shared: to copy an exception must not throw
};

/// A path, or the name of a table's entry, given to a call: text or a std::filesystem::path. It is read during the
/// call.
class PathRef {
public:
    /// Of text. NULL is an empty path, which calls refuse.
    /// @{
    /*implicit*/ PathRef(const char *text) noexcept : bytes_(text == nullptr ? "" : text), ends_(true) {}
    /*implicit*/ PathRef(const std::string &text) noexcept : bytes_(text), ends_(true) {}
    /*implicit*/ PathRef(std::string_view text) noexcept : bytes_(text), ends_(false) {}
    PathRef(std::nullptr_t) = delete;
    /// @}
    /// Of a path, as the file system has it; on Windows a copy in UTF-8.
#if defined(_WIN32)
    /*implicit*/ PathRef(const std::filesystem::path &path) : ends_(false) {
        const auto text = path.u8string();
        copy_.assign(text.begin(), text.end());
    }
#else
    /*implicit*/ PathRef(const std::filesystem::path &path) noexcept : bytes_(path.native()), ends_(true) {}
#endif

    /// Returns its bytes.
    std::string_view bytes() const noexcept { return copy_.empty() ? bytes_ : copy_; }

    /// @cond
    /// Calls with the bytes followed by a NUL, and copies the text that the call gives. A path with a NUL is not known.
    template <class Call> std::optional<std::string> look_up(Call call) const {
        if (bytes().find('\0') != std::string_view::npos) return std::nullopt;
        const char *const found = ends_ ? call(bytes().data()) : call(std::string(bytes()).c_str());
        return found == nullptr ? std::nullopt : std::optional<std::string>(found);
    }
    /// @endcond

private:
    std::string_view bytes_;
    std::string copy_; // of a path that has UTF-16
    bool ends_;
};

/// Paths or keys for one call: a copy of any range of text or std::filesystem::path.
class Paths {
public:
    Paths() = default;
    /// Of any range of text or std::filesystem::path.
    /// @{
    template <class Range, class = std::enable_if_t<!std::is_convertible_v<Range, PathRef>>,
              class = decltype(PathRef(*std::begin(std::declval<Range &>())))>
    /*implicit*/ Paths(Range &&paths) {
        for (auto &&path : paths) add(path);
    }
    /*implicit*/ Paths(std::initializer_list<PathRef> paths) {
        for (const PathRef &path : paths) add(path);
    }
    /// @}

    /// Adds a path. The call refuses one that contains a NUL (Status::invalid_argument).
    void add(PathRef path) { text_.append(path.bytes()).push_back('\0'), ++count_; }
    std::size_t size() const noexcept { return count_; }     ///< Returns how many there are.
    const std::string &text() const noexcept { return text_; } ///< Returns them as one text, each followed by a NUL.

private:
    std::string text_;
    std::size_t count_ = 0;
};

/// A rule between paths as the host sees them and as the server does.
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

/// How to open an index. A field that is not set, or zero, has its default. Index::open() refuses a negative time
/// (Status::invalid_argument). The named constants, such as ttl_never, are allowed.
struct Options {
    std::filesystem::path cache_dir{}; ///< The store's folder. Required. It is made when it is missing.
    std::string server_url{};          ///< The server's base URL. Without it and `database` only the store answers.
    std::string token{};               ///< The token. It is sent to this server only and never stored.
    /// Returns a new token, or an empty text, when the server refuses the present one. It runs on the thread of the
    /// call that was refused, which is then made again; one thread at a time is in it. Its exception is dropped and
    /// counts as an empty text: the call gives an older answer, or fails with Status::unauthorized. The thread of
    /// `watch.start` does not call it: it uses the token that a call has renewed. It must not close the index.
    std::function<std::string()> renew_token{};
    std::string user{};              ///< A name for the user whose view of the server this is. Default: the token.
    std::filesystem::path ca_file{}; ///< A PEM file with certificate authorities to trust instead of the system's.
    milliseconds library_ttl{0};     ///< How long a listing is fresh. Default: one hour. ttl_at_once, ttl_never.
    milliseconds max_age{0};         ///< When a full listing is due in any case. Default: 24 hours.
    milliseconds deadline{0};        ///< The deadline of calls that name none. Default, and no_deadline: none.
    milliseconds connect_timeout{0}; ///< How long making a connection may take. Default: 5 s.
    milliseconds read_timeout{0};    ///< How long the server may be silent. Default: 60 s.
    milliseconds retry_for{0};       ///< How long a failed request is tried again. Default: 30 s. no_retry.
    milliseconds slow{0};            ///< A call that takes this long is logged. Default: 1 s. never_slow.
    std::uint64_t matches_limit = 0; ///< How many bytes recorded matches may take. Default: 50 MiB.
    std::uint64_t size_limit = 0;    ///< How many bytes the folder may take. Default: no limit.
    /// Plex's own database on this machine, its folder, or the folder 'Plex Media Server'. It needs no URL and token.
    std::filesystem::path database{};
    /// A PostgreSQL database that hosts share, `postgresql://user@host/database`, so that one host fetches for all.
    std::string shared{};
    milliseconds shared_retry{0}; ///< How long a host without it asks for no listing. Default: 60 s. no_retry.
    bool shared_durable = false;  ///< What other hosts are told is forced to the disk before a call returns.
    std::uint32_t page_size = 0; ///< Rows of a listing in one request, up to 1,000. Default: 1,000.
    /// The log lines that are kept for drain_log(). The process has one level: that of the last index opened.
    LogLevel log_level = LogLevel::warn;
    bool offline = false;              ///< No request is ever sent.
    bool accept_invalid_certs = false; ///< Any certificate is accepted.
    bool no_mmap = false;              ///< Index files are read into memory instead of mapped.
    bool obfuscate_paths = false;      ///< Log lines and errors name media paths by a short hash.
    std::vector<Mapping> mappings{};   ///< Rules between the host's paths and the server's.
};

/// How far a fetch has come. Its text is valid during the callback.
struct Progress {
    std::string_view library; ///< The title of the library. Empty while the call waits for something else.
    std::uint64_t items;      ///< Items fetched so far.
    std::uint64_t total;      ///< Items in all; 0 when the server does not say.
    milliseconds elapsed;     ///< Since the call began to fetch.
};

/// How to answer a query.
struct QueryOptions {
    /// How long the call may take. Less than 1 ms counts as 1 ms, so `end - now` may be negative. no_deadline: any
    /// time. Default: as Options::deadline says.
    std::optional<milliseconds> deadline{};
    bool offline = false; ///< The call sends no request.
    /// match() and match_paths() wait for nothing: Status::not_yet where they need to. All other calls
    /// refuse it (Status::invalid_argument).
    bool at_once = false;
    /// Called on this thread while the call waits for the server. `false` ends the call with the error
    /// Status::aborted. An exception ends the call, and the call throws it. It must not close the index.
    std::function<bool(const Progress &)> progress{};
};

/// A table of the host's own values.
struct TableOptions {
    bool fold_ascii = false; ///< `A` to `Z` in names of entries count as `a` to `z`.
};

/// How to store values in tables.
struct PutOptions {
    milliseconds ttl{0}; ///< When the value expires. Default: after one hour. ttl_at_once, ttl_never.
    /// How many bytes all tables of the store may take: beyond that the entries written longest ago are removed. 0: no
    /// limit. The default is of this header: plexindex_table_put() has none.
    std::uint64_t limit = 100'000'000;
};

/// The limits of Index::call().
struct CallOptions {
    std::optional<milliseconds> deadline{};           ///< As QueryOptions::deadline.
    std::function<bool(const Progress &)> progress{}; ///< As QueryOptions::progress.
};

/// What a method gave.
struct Reply {
    Status status = Status::ok; ///< Status::ok, or another answer, as the method says.
    std::string json{};         ///< A JSON object, UTF-8, for the JSON library of your choice.
};

/// @cond
namespace detail {

/// An open handle, which the index and its libraries and tables share. The last of them closes it.
struct Opened {
    plexindex_handle *handle = nullptr;
    std::function<std::string()> renew_token;
    ~Opened() { plexindex_close(handle, nullptr); }
};

/// A handle of a library or table, with what keeps it valid. It is NULL once the index was closed or this was moved
/// from.
template <class Handle> struct Ref {
    std::shared_ptr<Opened> opened;
    const Handle *handle = nullptr;

    const Handle *get() const noexcept { return index() == nullptr ? nullptr : handle; }
    plexindex_handle *index() const noexcept { return opened == nullptr ? nullptr : opened->handle; }
};

inline plexindex_bytes bytes(std::string_view text) noexcept { return {text.data(), text.size()}; }

inline std::uint32_t when(bool is_set, std::uint32_t flag) noexcept { return is_set ? flag : 0; }

inline std::int64_t deadline_ms(const std::optional<milliseconds> &deadline) noexcept {
    if (!deadline.has_value()) return 0;
    if (*deadline == no_deadline) return PLEXINDEX_NO_DEADLINE;
    // 0 and -1 have other meanings in C. `end - now` is negative when the time is up.
    return std::max<std::int64_t>(1, deadline->count());
}

/// Throws where a call failed, with this text and answer.
inline Status checked(std::int32_t status, const plexindex_error &error, const std::string &json = {}) {
    if (status < 100) return static_cast<Status>(status);
    // This header hands no other NULL to a call.
    const bool is_null = status == PLEXINDEX_NULL_POINTER;
    throw Error(static_cast<Status>(status), is_null ? "the index is closed, or moved from" : error.text, json);
}

/// Calls C, whose last argument takes the text of an error, and throws the error.
template <class Function, class... Arguments> Status call(Function function, const Arguments &...arguments) {
    plexindex_error error;
    const std::int32_t status = function(arguments..., plexindex_error_init(&error));
    return checked(status, error);
}

/// Memory that a call filled, aligned as malloc's, and the status of that call.
struct Block {
    /// Calls with memory of this size, and again if the answer needs more.
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

// What is read where there is no record.
inline constexpr plexindex_answer no_answer = {PLEXINDEX_NULL_POINTER, 0, 0, 0, 0, 0, 0, 0, 0, {0, 0}, -1};
inline constexpr plexindex_item no_item = {{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, 0, 0, -1, -1, 0, 0};

/// A record of a block, which it keeps. One that was moved from has none.
template <class T, const T &None> struct Record {
    std::shared_ptr<const Block> block{};
    const T *record = &None;

    const T *operator->() const noexcept { return block == nullptr ? &None : record; }
    std::string_view text(const plexindex_text &text) const noexcept {
        const char *const data = block == nullptr ? nullptr : plexindex_get_text(&block->buffer, &text);
        return data == nullptr ? std::string_view() : std::string_view(data, text.length);
    }
};

/// Calls a function of the host for C, which nothing may be thrown through. Returns what it threw; the end of the
/// thread passes.
template <class Function> std::exception_ptr shielded(const Function &function) {
    try {
        return function(), nullptr;
#if defined(__GLIBCXX__)
    } catch (abi::__forced_unwind &) {
        throw;
#endif
    } catch (...) {
        return std::current_exception();
    }
}

/// A plexindex_query or plexindex_call_options, and what the host's function of progress threw while the call ran.
template <class Raw> struct Limited : Raw {
    template <class Options> explicit Limited(const Options &options) : Raw{}, function(options.progress) {
        this->size = sizeof(Raw);
        this->deadline_ms = detail::deadline_ms(options.deadline);
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

/// plexindex_renew_token_fn.
inline std::int32_t renew_token(void *user, plexindex_buffer *token) {
    const auto renew = [&] {
        const std::string given = static_cast<const Opened *>(user)->renew_token();
        if (given.size() > token->capacity) return;
        std::memcpy(token->data, given.data(), given.size());
        token->length = given.size();
    };
    return shielded(renew) == nullptr && token->length > 0 ? 0 : 1;
}

inline Reply call_method(const plexindex_handle *handle, const std::string &method, std::string_view request,
                         const CallOptions &options) {
    Limited<plexindex_call_options> limits(options);
    plexindex_error error;
    char *json = nullptr;
    const std::int32_t status = plexindex_call(handle, method.c_str(), request.data(), request.size(), &limits, &json,
                                               plexindex_error_init(&error));
    const std::unique_ptr<char, decltype(&plexindex_free)> owned(json, plexindex_free);
    Reply reply{Status::ok, json == nullptr ? "" : json};
    reply.status = checked(limits.ended(status), error, reply.json);
    return reply;
}

inline constexpr std::string_view base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace detail
/// @endcond

/// Index::call() for the methods that need no index: `versions` and `paths.compare`.
inline Reply call(const std::string &method, std::string_view request = {}, const CallOptions &options = {}) {
    return detail::call_method(nullptr, method, request, options);
}

/// Returns Base64: in a request `{"bytes": "<Base64>"}` is a path of any bytes, also of those that are not UTF-8.
inline std::string to_base64(std::string_view bytes) {
    std::string text;
    for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(3, bytes.size()))) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | static_cast<unsigned char>(i < bytes.size() ? bytes[i] : '\0');
        for (std::size_t i = 0; i < 4; ++i) text += i > bytes.size() ? '=' : detail::base64[bits >> (18 - 6 * i) & 63];
    }
    return text;
}

/// Returns the bytes of Base64: of a path in an answer that is not UTF-8.
inline std::string from_base64(std::string_view text) {
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char digit : text.substr(0, text.find('='))) {
        bits = bits << 6 | static_cast<std::uint32_t>(detail::base64.find(digit));
        if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8));
    }
    return bytes;
}

/// An item of a match. It shares the memory of that match, so a copy is cheap. A text that is not known is empty. Texts
/// are UTF-8, but for path().
class Item {
public:
    Item() noexcept = default;

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
    /// Returns whether path() is UTF-8.
    bool is_path_utf8() const noexcept { return (record_->flags & PLEXINDEX_ITEM_PATH_NOT_UTF8) == 0; }
    /// Returns whether only the key is known: the match was recorded and no listing holds the item.
    bool is_key_only() const noexcept { return (record_->flags & PLEXINDEX_ITEM_KEY_ONLY) != 0; }

private:
    friend class Match;
    Item(const std::shared_ptr<const detail::Block> &block, const plexindex_item *record) : record_{block, record} {}
    std::string_view text(const plexindex_text &text) const noexcept { return record_.text(text); }
    static std::optional<int> number(int number, int least) noexcept {
        return number < least ? std::nullopt : std::optional<int>(number);
    }

    detail::Record<plexindex_item, detail::no_item> record_;
};

/// The answer for one path. A copy shares its memory.
class Match {
public:
    Match() noexcept = default;

    /// Returns Status::ok with an item; not_found, ambiguous, not_yet, needs_warm; of match_paths() also the error of
    /// this path. Status::null_pointer: there is no answer, since this is new or was moved from.
    Status status() const noexcept { return static_cast<Status>(record_->status); }
    explicit operator bool() const noexcept { return status() == Status::ok; } ///< Returns whether there is an item.
    /// Returns how the item was found.
    MatchKind match_kind() const noexcept { return static_cast<MatchKind>(record_->match_kind); }
    /// Returns how sure the answer is.
    Confidence confidence() const noexcept { return static_cast<Confidence>(record_->confidence); }
    /// Returns why there is no single item, or what speaks for it or against it.
    Reason reason() const noexcept { return static_cast<Reason>(record_->reason); }
    /// Returns a sentence for people: what reason() says, or the error's text.
    std::string_view message() const & noexcept { return record_.text(record_->message); }
    void message() && = delete; // the text would end with the match
    /// Returns the single item.
    std::optional<Item> item() const & {
        const plexindex_item *const one = plexindex_get_item(block(), record_.operator->());
        return one == nullptr ? std::nullopt : std::optional<Item>(Item(record_.block, one));
    }
    void item() && = delete;
    /// Returns what fits, the best first, at most 16. A single item is the first.
    std::vector<Item> candidates() const & {
        std::vector<Item> all;
        for (std::size_t i = 0; i < record_->candidates_count; ++i)
            all.push_back(Item(record_.block, plexindex_get_candidate(block(), record_.operator->(), i)));
        return all;
    }
    void candidates() && = delete;
    std::size_t candidates_total() const noexcept { return record_->candidates_total; } ///< How many fit in all.
    /// Returns whether the answer may be out of date.
    bool is_stale() const noexcept { return (record_->flags & PLEXINDEX_ANSWER_STALE) != 0; }
    /// Returns how long ago the listing that answered was last known to be current; nothing if no listing answered.
    std::optional<milliseconds> age() const noexcept {
        return record_->age_ms < 0 ? std::nullopt : std::optional<milliseconds>(record_->age_ms);
    }

private:
    friend class Library;
    Match(const std::shared_ptr<const detail::Block> &block, std::size_t place)
        : record_{block, plexindex_get_answer(&block->buffer, place)} {}
    const plexindex_buffer *block() const noexcept { return record_.block ? &record_.block->buffer : nullptr; }

    detail::Record<plexindex_answer, detail::no_answer> record_;
};

/// A library of an index, or all of them; from Index::library(). It keeps the index open. A copy is the same library.
class Library {
public:
    /// The fast lookup. Returns a copy of the key (`/library/metadata/<rating key>`) of the item with this path, where
    /// the index has it at hand with high confidence. Nothing says that a fast lookup does not know: ask match(). It
    /// never fails, sends no request, and after a change waits at most 200 ms.
    [[nodiscard]] std::optional<std::string> lookup_key(PathRef path) const {
        return path.look_up([&](const char *text) { return plexindex_lookup_key(library_.get(), text); });
    }
    /// lookup_key() for many paths in one call. An empty key says that a fast lookup does not know.
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

    /// Returns the full answer for one path. Sends requests where they are needed and allowed.
    [[nodiscard]] Match match(PathRef path, const QueryOptions &options = {}) const {
        return Match(ask(path.bytes(), options, 8 * 1024, plexindex_match_path), 0);
    }
    /// match() for many paths: one answer each, in order, each with its own status.
    [[nodiscard]] std::vector<Match> match_paths(const Paths &paths, const QueryOptions &options = {}) const {
        const auto match = [count = paths.size()](auto *index, auto *query, auto *block, auto *error) {
            return plexindex_match_paths(index, query, count, block, error);
        };
        // Enough for most answers: asking again costs more than memory that is not used.
        const auto block = ask(paths.text(), options, 4096 + paths.size() * 384 + paths.text().size() * 2, match);
        std::vector<Match> all;
        for (std::size_t i = 0; i < plexindex_count_answers(&block->buffer); ++i) all.push_back(Match(block, i));
        return all;
    }

    /// Records that the item with this key has this path. It is stored when the call returns, and answers first. The
    /// server is asked only for a library that the store does not know yet: the error Status::timeout says that the
    /// deadline, as QueryOptions::deadline, passed first, and nothing is recorded.
    void record_match(PathRef path, std::string_view key, std::optional<milliseconds> deadline = {}) const {
        detail::call(plexindex_record_match, library_.get(), path.bytes().data(), path.bytes().size(), key.data(),
                     key.size(), detail::deadline_ms(deadline));
    }
    /// record_match() for many in one transaction: all are recorded, or none. The keys are in the order of the paths.
    /// `through`: PLEXINDEX_RECORD_THROUGH, for hosts that share.
    void record_matches(const Paths &paths, const Paths &keys, std::optional<milliseconds> deadline = {},
                        bool through = false) const {
        detail::call(plexindex_record_matches, library_.get(), paths.text().data(), paths.text().size(),
                     keys.text().data(), keys.text().size(), paths.size(),
                     detail::when(through, PLEXINDEX_RECORD_THROUGH), detail::deadline_ms(deadline));
    }
    /// Invalidates a path: its item is verified before it is answered again.
    void invalidate_path(PathRef path) const {
        detail::call(plexindex_invalidate_path, library_.get(), path.bytes().data(), path.bytes().size());
    }
    /// Invalidates all paths of an item, by its key or rating key. Call it when the server answers 404.
    void invalidate_item(std::string_view key) const {
        detail::call(plexindex_invalidate_item, library_.get(), key.data(), key.size());
    }
    /// Invalidates the library, or all: the next call that may ask the server fetches a full listing.
    void invalidate() const { detail::call(plexindex_invalidate_library, library_.get()); }
    /// Brings the library, or all, up to date now. Returns Status::ok; Status::not_yet or Status::needs_warm when the
    /// deadline came first. If no library was known either, that is the error Status::timeout.
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
        query.flags = flags | detail::when(options.offline, PLEXINDEX_QUERY_OFFLINE) |
                      detail::when(options.at_once, PLEXINDEX_QUERY_AT_ONCE);
        return std::make_shared<const detail::Block>(size, [&](plexindex_buffer *block, plexindex_buffer *error) {
            return query.ended(function(library_.index(), &query, block, error));
        });
    }

    detail::Ref<plexindex_library_handle> library_;
};

/// A table of the host's own values; from Index::table(). It keeps the index open. A copy is the same table. The method
/// `tables.count` counts its entries.
class Table {
public:
    /// The fast lookup. Returns a copy of the value of this name, where the index has it at hand. Nothing says that a
    /// fast lookup does not know: ask get(). It never fails.
    [[nodiscard]] std::optional<std::string> lookup(PathRef name) const {
        return name.look_up([&](const char *text) {
            const char *value = nullptr;
            plexindex_table_lookup(table_.get(), text, &value);
            return value;
        });
    }
    /// Returns the value of this name; nothing when there is none.
    [[nodiscard]] std::optional<std::string> get(std::string_view name) const {
        const auto get = [&](auto *value, auto *error) {
            return plexindex_table_get(table_.get(), name.data(), name.size(), value, error);
        };
        return detail::Block(4096, get).value();
    }
    /// Stores a value. It replaces the value of the same name, and is stored when the call returns.
    void put(std::string_view name, std::string_view value, const PutOptions &options = {}) const {
        detail::call(plexindex_table_put, table_.get(), name.data(), name.size(), value.data(), value.size(),
                     options.ttl.count(), options.limit);
    }
    /// Removes an entry. One that does not exist is no error.
    void remove(std::string_view name) const {
        detail::call(plexindex_table_remove, table_.get(), name.data(), name.size());
    }
    /// Removes all entries.
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

/// Changes of tables that Index::write() makes in one transaction. It keeps copies of names and values.
class WriteBatch {
public:
    /// Stores a value.
    WriteBatch &put(const Table &table, std::string_view name, std::string_view value) {
        return add(PLEXINDEX_TABLE_PUT, table, name, value);
    }
    /// Removes an entry.
    WriteBatch &remove(const Table &table, std::string_view name) {
        return add(PLEXINDEX_TABLE_REMOVE, table, name, {});
    }
    /// Removes all entries of a table.
    WriteBatch &clear(const Table &table) { return add(PLEXINDEX_TABLE_CLEAR, table, {}, {}); }

private:
    friend class Index;
    struct Change {
        std::int32_t kind;
        Table table;
        std::string name, value;
    };
    WriteBatch &add(std::int32_t kind, const Table &table, std::string_view name, std::string_view value) {
        return changes_.push_back({kind, table, std::string(name), std::string(value)}), *this;
    }

    std::vector<Change> changes_;
};

/// An open index. It is closed when it and all its libraries and tables are gone, or by close(). Move-only.
class Index {
public:
    /// Opens an index. Reads the disk only and sends no request. Several handles and processes may open the same
    /// folder.
    [[nodiscard]] static Index open(const Options &options) {
        if (plexindex_get_abi_version() != PLEXINDEX_ABI_VERSION)
            throw Error(Status::unsupported, "the plexindex library has another ABI version than the header that this "
                                             "program was compiled with: install matching versions");
        if (options.deadline.count() < 0) // C takes -1 for no deadline
            throw Error(Status::invalid_argument, "Options::deadline is " + std::to_string(options.deadline.count()) +
                                                      " ms: give a positive time, or plexindex::no_deadline");
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
        raw.deadline_ms = options.deadline == no_deadline ? 0 : options.deadline.count();
        raw.connect_timeout_ms = options.connect_timeout.count();
        raw.read_timeout_ms = options.read_timeout.count();
        raw.retry_ms = options.retry_for.count();
        raw.matches_limit = options.matches_limit;
        raw.flags = detail::when(options.offline, PLEXINDEX_OPEN_OFFLINE) |
                    detail::when(options.accept_invalid_certs, PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS) |
                    detail::when(options.no_mmap, PLEXINDEX_OPEN_NO_MMAP) |
                    detail::when(options.obfuscate_paths, PLEXINDEX_OPEN_OBFUSCATE_PATHS) |
                    detail::when(options.shared_durable, PLEXINDEX_OPEN_SHARED_DURABLE);
        raw.page_size = options.page_size;
        raw.log_level = static_cast<std::int32_t>(options.log_level);
        raw.mappings = mappings.data();
        raw.mappings_count = mappings.size();
        raw.slow_ms = options.slow.count();
        raw.size_limit = options.size_limit;
        raw.database = detail::bytes(database.bytes());
        raw.shared = detail::bytes(options.shared);
        raw.shared_retry_ms = options.shared_retry.count();
        Index index;
        index.opened_ = std::make_shared<detail::Opened>();
        if (options.renew_token) {
            index.opened_->renew_token = options.renew_token;
            raw.renew_token = detail::renew_token;
            raw.renew_token_user = index.opened_.get();
        }
        detail::call(plexindex_open, &raw, &index.opened_->handle);
        return index;
    }
    /// Closes the index; fails when its counters could not be written. No other call may be under way with it, its
    /// libraries or tables: within a callback of the index it is refused (Status::invalid_argument). Later calls fail
    /// with Status::null_pointer.
    void close() {
        if (opened_ == nullptr) return;
        detail::call([&](plexindex_buffer *error) {
            const std::int32_t status = plexindex_close(opened_->handle, error);
            if (status != PLEXINDEX_INVALID_ARGUMENT) opened_->handle = nullptr;
            return status;
        });
    }
    /// Returns whether it is open: neither closed nor moved from.
    bool is_open() const noexcept { return native_handle() != nullptr; }

    /// Calls a method by its name, with a request in JSON, which may be empty: docs/methods.md lists all methods, and
    /// later versions may have more. `options.progress` is called every 200 ms while `changes.wait` waits, and by
    /// wake_waiting().
    Reply call(const std::string &method, std::string_view request = {}, const CallOptions &options = {}) const {
        return detail::call_method(native_handle(), method, request, options);
    }

    /// Returns the library with this title, section id or uuid. Sends no request. A library that the store does not
    /// know is no error yet: the first call that uses it asks the server.
    [[nodiscard]] Library library(std::string_view name, Selector by = Selector::any) const {
        Library library;
        library.library_.opened = opened_;
        detail::call(plexindex_get_library, native_handle(), static_cast<std::int32_t>(by), name.data(), name.size(),
                     &library.library_.handle);
        return library;
    }
    /// Returns all libraries as one.
    [[nodiscard]] Library all_libraries() const { return library({}, Selector::all); }
    /// Returns a table of the host's own values. The first put() makes it.
    [[nodiscard]] Table table(std::string_view name, const TableOptions &options = {}) const {
        Table table;
        table.table_.opened = opened_;
        // An empty name is a name, and no NULL.
        detail::call(plexindex_get_table, native_handle(), name.empty() ? "" : name.data(), name.size(),
                     detail::when(options.fold_ascii, PLEXINDEX_TABLE_FOLD_ASCII), &table.table_.handle);
        return table;
    }
    /// Makes many changes of tables in one transaction, in order: all are made, or none.
    void write(const WriteBatch &batch, const PutOptions &options = {}) const {
        std::vector<plexindex_table_op> ops;
        for (const auto &[kind, table, name, value] : batch.changes_)
            ops.push_back({kind, 0, table.native_handle(), detail::bytes(name), detail::bytes(value)});
        detail::call(plexindex_table_write, native_handle(), ops.data(), ops.size(), options.ttl.count(),
                     options.limit);
    }

    /// Replaces the token; an empty one is none. Sends no request. Without Options::user the index is as if empty
    /// until a call has found that the server accepts this token.
    void set_token(std::string_view token) const {
        detail::call(plexindex_set_token, native_handle(), token.data(), token.size());
    }
    /// Makes each `changes.wait` that is under way call its progress function now. Any thread may call it.
    void wake_waiting() const { detail::call(plexindex_wake_waiting, native_handle()); }
    /// Removes all that the store holds of this server and user.
    void clear() const { detail::call(plexindex_clear, native_handle()); }
    /// Tells the index of an event that the host received itself, such as a webhook's body.
    void notify(std::string_view body) const {
        detail::call(plexindex_notify, native_handle(), body.data(), body.size());
    }
    /// Returns what happened: plexindex.h describes each count.
    [[nodiscard]] plexindex_stats stats() const {
        plexindex_stats stats = plexindex_stats_init();
        detail::call(plexindex_get_stats, native_handle(), &stats);
        return stats;
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    plexindex_handle *native_handle() const noexcept { return opened_ ? opened_->handle : nullptr; }

    /// @cond
    Index(Index &&) noexcept = default;
    Index &operator=(Index &&) noexcept = default;
    /// @endcond

private:
    Index() = default;

    std::shared_ptr<detail::Opened> opened_;
};

/// Hands the log lines that wait to `receive(LogLevel, std::string_view)`, oldest first, on this thread. An exception
/// is thrown on when all lines are taken; the lines behind it are lost. Any thread may call it.
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

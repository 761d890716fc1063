/// @file
/// plexindex for C++17 and newer: find the Plex item of a file. Header only, over the C library.
///
/// - **Start** with plexindex::Index::open(), then Index::library(), then Library::match().
/// - **Errors**: the classes of the namespace plexindex throw plexindex::Error. The same classes in plexindex::results
///   return plexindex::Result instead and throw no Error; with `-fno-exceptions` only these exist. Use one of the two.
///   In these pages `Of<T>` is `T` in the first case and `Result<T>` in the second. *Not found* and *ambiguous* are
///   answers, not errors. std::bad_alloc may come from whatever allocates.
/// - **Threads**: any number of threads may use one Index, Library or Table at once through `const`. One thread at a
///   time may use a stream, a builder (Edit, WriteBatch, Paths), or the results that share one block. Callbacks run on
///   the calling thread.
/// - **Ownership**: an Index, and each Library, Table and stream of it, keeps the index open. All else owns its memory
///   and outlives the index: Match, Answers, Keys, Answer, Item and Candidates share a block, which the last of them
///   frees, and a copy is cheap. Only a std::string_view owns nothing: it is valid while anything of its block exists.
/// - **A text of a result without a name** would end before it is read, so `library.match(path).candidates()[0].title()`
///   does not compile: give the result a name first. Then `match.candidates()[0].title()` compiles.
/// - **Moved from**: an object that was moved from is empty and can be used. Calls on it fail with
///   Status::null_pointer.
/// - **Paths** are the file system's bytes, on Windows UTF-8: text or std::filesystem::path.
/// - **Names**: a method has the name of its C function without `plexindex_`, `get_` and `_json`. plexindex.h and
///   plexindex_more.h describe each function in full.
///
/// Licence: MIT OR Apache-2.0.
#ifndef PLEXINDEX_HPP
#define PLEXINDEX_HPP

#include <plexindex_more.h>

#include <algorithm>
#include <charconv>
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
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__GLIBCXX__) && defined(__cpp_exceptions)
#include <cxxabi.h>
#endif
#if __cplusplus > 202002L
#include <expected>
#endif
#if defined(__cpp_lib_ranges)
#include <ranges>
#endif

/// The index of a Plex server's items, and its results.
namespace plexindex {
#if !defined(DOXYGEN)
// What depends on the compiler's flags has another name for each of them: a program may mix units.
#if !defined(__cpp_exceptions)
inline namespace no_exceptions {
#endif
#if defined(__cpp_lib_expected) && __cpp_lib_expected >= 202211L
inline namespace v1_expected {
#else
inline namespace v1 {
#endif
#endif

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// The outcome of a call, or of one answer. 0 is success, 1 to 99 are answers, from 100 on are errors. A newer library
/// may give numbers that are not listed here.
enum class Status : std::int32_t {
    ok = PLEXINDEX_OK,                                 ///< Success; for a match: one item.
    not_found = PLEXINDEX_NOT_FOUND,                   ///< No item; Answer::reason() says why.
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
    store_full = PLEXINDEX_STORE_FULL,                 ///< The disk is full, or a limit is reached. Nothing was changed.
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

/// Rules by which Plex leaves out files and folders in a scan, for Library::walk(): flags, combined by `|`, `&` and
/// `~`.
enum class Rules : std::uint32_t {
    none = 0,                               ///< Nothing is left out.
    extension = PLEXINDEX_RULE_EXTENSION,   ///< Files that do not end as media of the library's kind do.
    hidden = PLEXINDEX_RULE_HIDDEN,         ///< Names that begin with a dot.
    system = PLEXINDEX_RULE_SYSTEM,         ///< Folders of systems and programs.
    unpacking = PLEXINDEX_RULE_UNPACKING,   ///< Folders that are being unpacked.
    empty = PLEXINDEX_RULE_EMPTY,           ///< Files without a byte, or that cannot be read.
    samples = PLEXINDEX_RULE_SAMPLES,       ///< Samples of videos.
    extras = PLEXINDEX_RULE_EXTRAS,         ///< Trailers and the like.
    discs = PLEXINDEX_RULE_DISCS,           ///< Folders of discs.
    plexignore = PLEXINDEX_RULE_PLEXIGNORE, ///< What a file .plexignore names.
    all = PLEXINDEX_RULE_ALL,               ///< All of them.
};
/// The rules of either.
[[nodiscard]] constexpr Rules operator|(Rules a, Rules b) noexcept {
    return static_cast<Rules>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
/// The rules of both.
[[nodiscard]] constexpr Rules operator&(Rules a, Rules b) noexcept {
    return static_cast<Rules>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
/// All other rules.
[[nodiscard]] constexpr Rules operator~(Rules a) noexcept {
    return static_cast<Rules>(~static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(Rules::all));
}

/// The level of a log line, or the lines that are kept.
enum class LogLevel : std::int32_t {
    off = PLEXINDEX_LOG_OFF,     ///< Nothing.
    error = PLEXINDEX_LOG_ERROR, ///< Errors.
    warn = PLEXINDEX_LOG_WARN,   ///< Errors and warnings.
    info = PLEXINDEX_LOG_INFO,   ///< Also fetches, refreshes and invalidated libraries.
    debug = PLEXINDEX_LOG_DEBUG, ///< Everything, with full paths.
};

/// Options::library_ttl and TableOptions::ttl: never fresh.
inline constexpr milliseconds ttl_at_once{PLEXINDEX_TTL_AT_ONCE};
/// Options::library_ttl and TableOptions::ttl: fresh until it is invalidated or replaced.
inline constexpr milliseconds ttl_never{PLEXINDEX_TTL_NEVER};
/// Options::retry_for: a request that failed is not tried again.
inline constexpr milliseconds no_retry{PLEXINDEX_NO_RETRY};
/// Options::slow: no call is slow.
inline constexpr milliseconds never_slow{PLEXINDEX_NEVER_SLOW};
/// Options::deadline, QueryOptions::deadline and Edit::deadline: calls take as long as they take.
inline constexpr milliseconds no_deadline = milliseconds::max();

/// Returns the version of the library that runs, such as `0.1.0`. That of the headers is PLEXINDEX_VERSION_NUMBER.
[[nodiscard]] inline const char *version() noexcept { return plexindex_get_version(); }

/// Returns the version of the SQLite that is part of the library, such as `3.50.4`.
[[nodiscard]] inline const char *sqlite_version() noexcept { return plexindex_get_sqlite_version(); }

/// Returns the ABI version of the library that runs. Index::open() compares it with that of the header.
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return plexindex_get_abi_version(); }

/// Returns the name of a status, such as `NOT_FOUND`; `UNKNOWN` for a number without one.
[[nodiscard]] inline const char *status_name(Status status) noexcept {
    return plexindex_get_status_name(static_cast<std::int32_t>(status));
}

/// Returns the name of how an item was found, such as `FILE_NAME`; `UNKNOWN` for a number without one.
[[nodiscard]] inline const char *match_kind_name(MatchKind kind) noexcept {
    return plexindex_get_match_kind_name(static_cast<std::int32_t>(kind));
}
/// Returns the name of a confidence, such as `HIGH`; `UNKNOWN` for a number without one.
[[nodiscard]] inline const char *confidence_name(Confidence confidence) noexcept {
    return plexindex_get_confidence_name(static_cast<std::int32_t>(confidence));
}
/// Returns the name of a reason, such as `NOT_LISTED`; `UNKNOWN` for a number without one.
[[nodiscard]] inline const char *reason_name(Reason reason) noexcept {
    return plexindex_get_reason_name(static_cast<std::int32_t>(reason));
}
/// Returns the name of a type, such as `MOVIE`; `UNKNOWN` for a number without one.
[[nodiscard]] inline const char *item_kind_name(ItemKind kind) noexcept {
    return plexindex_get_kind_name(static_cast<std::int32_t>(kind));
}
/// Returns the name of a log level, such as `WARN`; `UNKNOWN` for a number without one.
[[nodiscard]] constexpr const char *log_level_name(LogLevel level) noexcept {
    switch (level) {
    case LogLevel::off: return "OFF";
    case LogLevel::error: return "ERROR";
    case LogLevel::warn: return "WARN";
    case LogLevel::info: return "INFO";
    case LogLevel::debug: return "DEBUG";
    }
    return "UNKNOWN";
}

/// An error: a status, and what() with a text that names the input and the remedy. Copying it does not throw.
class Error : public std::runtime_error {
public:
    /// Makes one of this status and text.
    Error(Status status, const std::string &text) : std::runtime_error(text), status_(status) {}
    /// Returns which error it is.
    [[nodiscard]] Status status() const noexcept { return status_; }
    /// Compares status and text.
    /// @{
    friend bool operator==(const Error &a, const Error &b) noexcept {
        return a.status_ == b.status_ && std::strcmp(a.what(), b.what()) == 0;
    }
    friend bool operator!=(const Error &a, const Error &b) noexcept { return !(a == b); }
    /// @}

private:
    Status status_;
};

/// @cond
namespace detail {
/// Throws, or ends the program where there are no exceptions.
template <class E> [[noreturn]] void raise([[maybe_unused]] const E &error) {
#if defined(__cpp_exceptions)
    throw error;
#else
    std::terminate();
#endif
}
} // namespace detail
/// @endcond

#if defined(__cpp_lib_expected) && __cpp_lib_expected >= 202211L && !defined(DOXYGEN)
template <class T> using Result = std::expected<T, Error>;
using Unexpected = std::unexpected<Error>;
using BadResult = std::bad_expected_access<Error>;
#else
/// What Result::value() throws without a value, instead of an Error: `std::bad_expected_access<Error>` where Result is
/// `std::expected`. `catch (const BadResult &)` fits both, and so does `catch (const std::exception &)`.
class BadResult : public std::exception {
public:
    explicit BadResult(Error error) noexcept : error_(std::move(error)) {}   ///< Of this error.
    [[nodiscard]] const Error &error() const noexcept { return error_; }     ///< Returns the error.
    [[nodiscard]] const char *what() const noexcept override { return error_.what(); } ///< Returns its text.

private:
    Error error_;
};

/// Makes a Result of this error, as std::unexpected does.
class Unexpected {
public:
    explicit Unexpected(Error error) : error_(std::move(error)) {}       ///< Of this error.
    [[nodiscard]] const Error &error() const noexcept { return error_; } ///< Returns the error.

private:
    Error error_;
};

/// A value, or the error that came instead: `std::expected<T, Error>` where the standard library has it (C++23), and
/// otherwise this class, whose members have the same names. **value() without a value throws BadResult, not Error**, or
/// ends the program where there are no exceptions; the other accessors need has_value() to be right, as in the standard.
template <class T> class [[nodiscard]] Result {
    using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
    template <class U> // neither a Result nor an error, which have operators of their own
    using Value = std::enable_if_t<!std::is_same_v<U, Result> && !std::is_same_v<U, Unexpected> && !std::is_void_v<T>>;
    template <class U> // what becomes the value, but for that itself
    using Made = std::enable_if_t<!std::is_same_v<std::decay_t<U>, Stored> &&
                                  !std::is_same_v<std::decay_t<U>, Result> && std::is_convertible_v<U, Stored>>;
    template <class U> // a Result that does not itself become the value
    using Converted = std::enable_if_t<!std::is_same_v<U, T> && std::is_convertible_v<U, Stored> &&
                                       !std::is_constructible_v<Stored, Result<U>>>;

public:
    using value_type = T;               ///< The type of the value.
    using error_type = Error;           ///< The type of the error.
    using unexpected_type = Unexpected; ///< What makes an error.

    Result() = default;
    /*implicit*/ Result(Stored value) : held_(std::in_place_index<0>, std::move(value)) {}       ///< A value.
    /*implicit*/ Result(Unexpected error) : held_(std::in_place_index<1>, error.error()) {} ///< An error.
    /// Of what converts to the value.
    template <class U, class = Made<U>>
    /*implicit*/ Result(U &&value) : held_(std::in_place_index<0>, std::forward<U>(value)) {}
    /// Of a Result whose value converts to this one.
    template <class U, class = Converted<U>>
    /*implicit*/ Result(Result<U> other)
        : Result(other.has_value() ? Result(std::in_place, *std::move(other)) : Result(Unexpected(other.error()))) {}
    /// Makes the value of these arguments.
    template <class... Arguments>
    explicit Result(std::in_place_t, Arguments &&...arguments)
        : held_(std::in_place_index<0>, std::forward<Arguments>(arguments)...) {}

    /// Returns whether there is a value, of a `Result<bool>` too.
    /// @{
    [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    /// @}
    /// Returns the value.
    /// @{
    decltype(auto) value() & { return check(), get(*this); }
    decltype(auto) value() const & { return check(), get(*this); }
    T value() && { return check(), get(std::move(*this)); }
    decltype(auto) operator*() & { return get(*this); }
    decltype(auto) operator*() const & { return get(*this); }
    T operator*() && { return get(std::move(*this)); }
    std::add_pointer_t<T> operator->() noexcept { return std::get_if<0>(&held_); }
    std::add_pointer_t<const T> operator->() const noexcept { return std::get_if<0>(&held_); }
    /// @}
    /// Returns the value, or this one instead of an error.
    /// @{
    template <class U> [[nodiscard]] T value_or(U &&other) const & {
        return has_value() ? **this : T(std::forward<U>(other));
    }
    template <class U> [[nodiscard]] T value_or(U &&other) && {
        return has_value() ? *std::move(*this) : T(std::forward<U>(other));
    }
    /// @}
    /// Returns the error.
    [[nodiscard]] const Error &error() const noexcept { return *std::get_if<1>(&held_); }

    /// Returns what the function, which returns a Result, makes of the value; an error stays.
    /// @{
    template <class F> auto and_then(F &&function) const & { return chain(*this, function); }
    template <class F> auto and_then(F &&function) && { return chain(std::move(*this), function); }
    /// @}
    /// Returns the value that the function makes of the value; an error stays.
    /// @{
    template <class F> auto transform(F &&function) const & { return map(*this, function); }
    template <class F> auto transform(F &&function) && { return map(std::move(*this), function); }
    /// @}
    /// Returns what the function, which returns a Result, makes of the error; a value stays.
    /// @{
    template <class F> Result or_else(F &&function) const & { return has_value() ? *this : function(error()); }
    template <class F> Result or_else(F &&function) && { return has_value() ? std::move(*this) : function(error()); }
    /// @}
    /// Returns this with the Error that the function makes of the error; a value stays.
    /// @{
    template <class F> Result transform_error(F &&function) const & {
        return has_value() ? *this : Result(Unexpected(function(error())));
    }
    template <class F> Result transform_error(F &&function) && {
        return has_value() ? std::move(*this) : Result(Unexpected(function(error())));
    }
    /// @}
    /// Makes a value of these arguments, in place of what is there.
    template <class... Arguments> decltype(auto) emplace(Arguments &&...arguments) {
        held_.template emplace<0>(std::forward<Arguments>(arguments)...);
        return get(*this);
    }

    /// Compares two results, a result with a value, or a result with an error.
    /// @{
    friend bool operator==(const Result &a, const Result &b) { return a.held_ == b.held_; }
    friend bool operator!=(const Result &a, const Result &b) { return !(a == b); }
    friend bool operator==(const Result &a, const Unexpected &b) { return !a.has_value() && a.error() == b.error(); }
    friend bool operator!=(const Result &a, const Unexpected &b) { return !(a == b); }
    template <class U, class = Value<U>> friend bool operator==(const Result &a, const U &b) {
        return a.has_value() && *a == b;
    }
    template <class U, class = Value<U>> friend bool operator!=(const Result &a, const U &b) { return !(a == b); }
    /// @}

private:
    template <class Self> static decltype(auto) get(Self &&self) {
        if constexpr (!std::is_void_v<T>) return std::get<0>(std::forward<Self>(self).held_);
    }
    template <class Self, class F> static decltype(auto) call(Self &&self, F &function) {
        if constexpr (std::is_void_v<T>) return function();
        else return function(get(std::forward<Self>(self)));
    }
    template <class Self, class F> static auto chain(Self &&self, F &function) {
        using Next = std::decay_t<decltype(call(std::forward<Self>(self), function))>;
        return self.has_value() ? call(std::forward<Self>(self), function) : Next(Unexpected(self.error()));
    }
    template <class Self, class F> static auto map(Self &&self, F &function) {
        using Next = Result<std::decay_t<decltype(call(std::forward<Self>(self), function))>>;
        if (!self.has_value()) return Next(Unexpected(self.error()));
        if constexpr (!std::is_void_v<typename Next::value_type>) return Next(call(std::forward<Self>(self), function));
        else return call(std::forward<Self>(self), function), Next();
    }
    void check() const {
        if (!has_value()) detail::raise(BadResult(error()));
    }

    std::variant<Stored, Error> held_;
};
#endif

/// @cond
namespace detail {

/// Errors are thrown.
struct Throws {
    static constexpr bool throws = true;
    template <class T> using Of = T;
    template <class T> [[noreturn]] static T failed(const Error &error) { raise(error); }
};

/// Errors are values.
struct Returns {
    static constexpr bool throws = false;
    template <class T> using Of = Result<T>;
    template <class T> static Result<T> failed(const Error &error) { return Unexpected(error); }
};

// A status or bool may be ignored where errors are thrown, but not a Result: each such call has a function for either,
// since std::expected may be ignored.
template <class Policy> using Throwing = std::enable_if_t<Policy::throws, bool>;
template <class Policy> using Returning = std::enable_if_t<!Policy::throws, bool>;

inline constexpr std::int32_t first_error = 100;

/// Memory for the text of one call's error, on the stack.
class Failure {
public:
    plexindex_buffer *buffer() noexcept { return plexindex_error_init(&error_); }
    [[nodiscard]] Error error(std::int32_t status) const {
        if (status != PLEXINDEX_NULL_POINTER) return {static_cast<Status>(status), error_.text};
        // This header hands no other NULL to a call.
        return {Status::null_pointer, "the index is closed, or an object of this call was moved from"};
    }

private:
    plexindex_error error_;
};

inline plexindex_bytes bytes(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// A value that is empty when it was moved from.
template <class T> struct Moved {
    T value{};
    Moved() = default;
    Moved(const Moved &) = default;
    Moved &operator=(const Moved &) = default;
    Moved(T &&of) noexcept : value(std::move(of)) {}
    Moved(Moved &&other) noexcept : value(std::exchange(other.value, T{})) {}
    Moved &operator=(Moved &&other) noexcept { return value = std::exchange(other.value, T{}), *this; }
    ~Moved() = default;
};

/// Memory for a call's answer, aligned as malloc's. It grows and is used again.
class Memory {
public:
    /// Calls until the memory is large enough. After an error it holds nothing.
    template <class Call> std::int32_t fill(std::size_t first, Call call) {
        std::int32_t status;
        plexindex_buffer &buffer = buffer_;
        buffer.length = first;
        do {
            if (buffer.length > buffer.capacity) {
                const std::size_t count = buffer.length / sizeof(std::uint64_t) + 1;
                buffer = {};
                words_.reset();
                words_.reset(new std::uint64_t[count]); // not set to zero, unlike std::make_unique
                buffer = {words_.get(), count * sizeof(std::uint64_t), 0};
            }
            buffer.length = 0;
            status = call(&buffer);
        } while (status == PLEXINDEX_BUFFER_TOO_SMALL && buffer.length > buffer.capacity);
        if (status >= first_error) buffer.length = 0;
        return status;
    }

    [[nodiscard]] const plexindex_buffer &buffer() const noexcept { return buffer_; }

private:
    std::unique_ptr<std::uint64_t[]> words_;
    plexindex_buffer buffer_{};
};

/// A block of memory that a call filled, or none. Copies share it.
class Block {
public:
    /// Fills the memory, or another one where that is shared: what shares it keeps what it has.
    template <class Call> std::int32_t fill(std::size_t first, Call call) {
        if (memory_.use_count() != 1) memory_ = std::make_shared<Memory>();
        return memory_->fill(first, call);
    }
    [[nodiscard]] const plexindex_buffer &buffer() const noexcept {
        static constexpr plexindex_buffer none{};
        return memory_ == nullptr ? none : memory_->buffer();
    }
    [[nodiscard]] std::string_view text() const noexcept {
        return {static_cast<const char *>(buffer().data), buffer().length};
    }
    [[nodiscard]] std::string_view text(const plexindex_text &text) const noexcept {
        const char *data = plexindex_get_text(&buffer(), &text);
        return data == nullptr ? std::string_view() : std::string_view(data, text.length);
    }
    [[nodiscard]] std::uint32_t log_lines() const noexcept {
        return buffer().length == 0 ? 0 : static_cast<const plexindex_answers *>(buffer().data)->log_lines;
    }

private:
    std::shared_ptr<Memory> memory_;
};

/// What `->` of an iterator gives whose elements are made when they are read.
template <class T> struct Arrow {
    T value;
    const T *operator->() const noexcept { return &value; }
};

/// Iterates over a range with `operator[]` and `size()` that is cheap to copy: it holds a copy.
template <class Range> class Iterator {
public:
    using value_type = std::remove_const_t<decltype(std::declval<const Range &>()[0])>;
    using reference = const value_type; // as an element of a named range: its texts can be read
    using pointer = Arrow<value_type>;
    using difference_type = std::ptrdiff_t;
    // Elements are made when they are read: no more than this by the rules of C++17.
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::random_access_iterator_tag;

    Iterator() = default;
    Iterator(Range range, std::size_t place) noexcept : range_(range), place_(static_cast<difference_type>(place)) {}
    reference operator*() const noexcept { return (*this)[0]; }
    pointer operator->() const noexcept { return {**this}; }
    reference operator[](difference_type n) const noexcept { return range_[static_cast<std::size_t>(place_ + n)]; }
    Iterator &operator++() noexcept { return *this += 1; }
    Iterator &operator--() noexcept { return *this -= 1; }
    Iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
    Iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
    Iterator &operator+=(difference_type n) noexcept { return place_ += n, *this; }
    Iterator &operator-=(difference_type n) noexcept { return place_ -= n, *this; }
    friend Iterator operator+(Iterator a, difference_type n) noexcept { return a += n; }
    friend Iterator operator+(difference_type n, Iterator a) noexcept { return a += n; }
    friend Iterator operator-(Iterator a, difference_type n) noexcept { return a -= n; }
    friend difference_type operator-(const Iterator &a, const Iterator &b) noexcept { return a.place_ - b.place_; }
    friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return a.place_ == b.place_; }
    friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return a.place_ != b.place_; }
    friend bool operator<(const Iterator &a, const Iterator &b) noexcept { return a.place_ < b.place_; }
    friend bool operator>(const Iterator &a, const Iterator &b) noexcept { return a.place_ > b.place_; }
    friend bool operator<=(const Iterator &a, const Iterator &b) noexcept { return a.place_ <= b.place_; }
    friend bool operator>=(const Iterator &a, const Iterator &b) noexcept { return a.place_ >= b.place_; }

private:
    Range range_{};
    difference_type place_ = 0;
};

/// An open handle, which the index and its libraries, tables and streams share. The last of them closes it.
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
using LibraryRef = Ref<plexindex_library_handle>;
using TableRef = Ref<plexindex_table_handle>;

/// Calls a function of the host for C, which nothing may be thrown through. Returns `otherwise` for an exception, which
/// `caught` receives; the end of the thread passes.
template <class T, class Function, class Caught> T shield(T otherwise, Function function, Caught caught) {
#if defined(__cpp_exceptions)
    try {
        return function();
#if defined(__GLIBCXX__)
    } catch (abi::__forced_unwind &) {
        throw;
#endif
    } catch (...) {
        caught(std::current_exception());
        return otherwise;
    }
#else
    static_cast<void>(otherwise);
    static_cast<void>(caught);
    return function();
#endif
}

/// plexindex_renew_token_fn.
inline std::int32_t renew_token(void *user, plexindex_buffer *token) {
    const auto renew = [&]() -> std::int32_t {
        const std::string given = static_cast<const Opened *>(user)->renew_token();
        if (given.empty() || given.size() > token->capacity) return 1;
        std::memcpy(token->data, given.data(), given.size());
        token->length = given.size();
        return 0;
    };
    return shield<std::int32_t>(1, renew, [](const auto &) {});
}

/// Takes the text before the next NUL, and that NUL, from the front.
inline std::string_view take(std::string_view &texts) noexcept {
    const std::size_t length = std::min(texts.find('\0'), texts.size());
    const std::string_view first = texts.substr(0, length);
    texts.remove_prefix(std::min(length + 1, texts.size()));
    return first;
}

/// The place of a word among these; 0 where it is none of them. An empty one stands for a number that is not used.
template <class T, std::size_t N> void place_of(T &place, std::string_view word, const std::string_view (&words)[N]) {
    const auto found = word.empty() ? std::end(words) : std::find(words, std::end(words), word);
    place = static_cast<T>(found == std::end(words) ? 0 : found - words);
}

// What is read where there is no record.
inline constexpr plexindex_answer no_answer = {PLEXINDEX_NULL_POINTER, 0, 0, 0, 0, 0, 0, 0, 0, {0, 0}, -1, 0, 0, 0, 0};
inline constexpr plexindex_item no_item = {{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, 0, 0, -1, -1, 0, 0};

/// A record of a block, which it keeps. One that was moved from has none.
template <class T, const T &None> struct Record {
    Block block{};
    Moved<const T *> record{};
    const T *operator->() const noexcept { return get(); }
    const T *get() const noexcept { return record.value == nullptr ? &None : record.value; }
    std::string_view text(const plexindex_text &text) const noexcept { return block.text(text); }
};
using AnswerRecord = Record<plexindex_answer, no_answer>;
using ItemRecord = Record<plexindex_item, no_item>;

/// A copy of a text of C, which may be NULL.
inline std::optional<std::string> copy(const char *text) {
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}
inline bool copy_to(std::string &to, const char *text) {
    to.assign(text == nullptr ? "" : text);
    return text != nullptr;
}

#if defined(_WIN32)
/// The path in UTF-8. Half of a pair of surrogates has three bytes, as in Rust's paths: path::u8string() throws there.
inline std::string native(const std::filesystem::path &path) {
    std::string made;
    const auto put = [&](std::uint32_t bits) { made.push_back(static_cast<char>(bits)); };
    const std::wstring &text = path.native();
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::uint32_t code = text[at];
        const std::uint32_t next = at + 1 < text.size() ? text[at + 1] : 0;
        if (code >> 10 == 0x36 && next >> 10 == 0x37) {
            code = 0x10000 + ((code & 0x3ff) << 10 | (next & 0x3ff));
            ++at;
        }
        if (code < 0x80) {
            put(code);
            continue;
        }
        if (code < 0x800) {
            put(0xc0 | code >> 6);
        } else if (code < 0x10000) {
            put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f));
        } else {
            put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f));
        }
        put(0x80 | (code & 0x3f));
    }
    return made;
}
#else
inline const std::string &native(const std::filesystem::path &path) noexcept { return path.native(); }
#endif

} // namespace detail
/// @endcond

/// A path, or the name of a table's entry, given to a call: text or a std::filesystem::path. It is read during the
/// call.
class PathRef {
public:
    /// Of text. NULL is an empty path, which calls refuse.
    /*implicit*/ PathRef(const char *text) noexcept
        : bytes_(text == nullptr ? std::string_view() : std::string_view(text)), ends_(text != nullptr) {}
    /// Of text.
    /*implicit*/ PathRef(const std::string &text) noexcept : bytes_(text), ends_(true) {}
    /// Of text.
    /*implicit*/ PathRef(std::string_view text) noexcept : bytes_(text), ends_(false) {}
#if defined(_WIN32)
    /// Of a path, in UTF-8: a copy.
    /*implicit*/ PathRef(const std::filesystem::path &path) : copy_(detail::native(path)), ends_(false) {}
#else
    /// Of a path, as the file system has it.
    /*implicit*/ PathRef(const std::filesystem::path &path) noexcept : bytes_(path.native()), ends_(true) {}
#endif
    PathRef(std::nullptr_t) = delete;

    /// Returns its bytes.
#if defined(_WIN32)
    [[nodiscard]] std::string_view bytes() const noexcept { return copy_.empty() ? bytes_ : copy_; }
#else
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
#endif

    /// @cond
    /// Calls with the bytes followed by a NUL: without an allocation up to 4,095 of them. NULL where they hold a NUL.
    template <class Call> const char *terminated(Call call) const {
        const std::string_view text = bytes();
        if (text.find('\0') != std::string_view::npos) return nullptr;
        if (ends_) return call(text.data());
        char copy[4096];
        if (text.size() >= sizeof copy) return call(std::string(text).c_str());
        if (!text.empty()) std::memcpy(copy, text.data(), text.size());
        copy[text.size()] = '\0';
        return call(static_cast<const char *>(copy));
    }
    /// @endcond

private:
    std::string_view bytes_;
#if defined(_WIN32)
    std::string copy_; // of a path, which has UTF-16
#endif
    bool ends_;
};

/// Paths or keys for one call: a copy of any range of text or std::filesystem::path. It keeps its memory when cleared.
class Paths {
public:
    Paths() = default;
    /// Of any range of text or std::filesystem::path.
    template <class Range, class = std::enable_if_t<!std::is_same_v<std::decay_t<Range>, Paths>>,
              class = std::enable_if_t<!std::is_convertible_v<Range, PathRef>>,
              class = decltype(PathRef(*std::begin(std::declval<Range &>())))>
    /*implicit*/ Paths(Range &&paths) {
        for (auto &&path : paths) add(path);
    }
    /// Of these.
    /*implicit*/ Paths(std::initializer_list<PathRef> paths) {
        for (const PathRef &path : paths) add(path);
    }

    /// Adds a path. The call refuses one that contains a NUL (Status::invalid_argument).
    void add(PathRef path) {
        const std::string_view bytes = path.bytes();
        const std::size_t nul = bytes.find('\0');
        if (nul != std::string_view::npos && refused_.value.empty()) {
            // As many bytes as tell where it is.
            refused_.value.append("element ").append(std::to_string(size())).append(", which begins with '");
            refused_.value.append(bytes.substr(0, std::min<std::size_t>(nul, 200))).append("', contains a NUL byte");
        }
        text_.value.append(bytes).push_back('\0');
        ++count_.value;
    }
    /// Removes all of them and keeps the memory.
    void clear() noexcept { text_.value.clear(), refused_.value.clear(), count_.value = 0; }
    /// Returns how many there are.
    [[nodiscard]] std::size_t size() const noexcept { return count_.value; }
    /// Returns them as one text, each followed by a NUL. Valid until the next change.
    [[nodiscard]] std::string_view text() const noexcept { return text_.value; }

    /// @cond
    /// Refuses an element that contains a NUL: as C sees it, it would be two.
    std::int32_t check(plexindex_buffer *error) const {
        if (refused_.value.empty()) return PLEXINDEX_OK;
        const std::size_t length = std::min(refused_.value.size(), error->capacity - 1);
        std::memcpy(error->data, refused_.value.data(), length);
        static_cast<char *>(error->data)[length] = '\0';
        return PLEXINDEX_INVALID_ARGUMENT;
    }
    /// @endcond

private:
    detail::Moved<std::string> text_;
    detail::Moved<std::string> refused_;
    detail::Moved<std::size_t> count_;
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
    /// Index::watch_start() does not call it: it uses the token that a call has renewed. It must not close the index.
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
    /// How long the call may take. Less than 1 ms counts as 1 ms, so `end - now` may be negative. no_deadline: any time.
    /// Default: as Options::deadline says.
    std::optional<milliseconds> deadline{};
    bool offline = false; ///< The call sends no request.
    /// match(), match_paths() and match_folder() wait for nothing: Status::not_yet where they need to. All other calls
    /// refuse it (Status::invalid_argument).
    bool at_once = false;
    /// Called on this thread while the call waits for the server. `false` ends the call with the error
    /// Status::aborted. An exception ends the call, and the call throws it. It must not close the index.
    std::function<bool(const Progress &)> progress{};
};

/// How to read the feed of changes.
struct ChangesOptions {
    std::size_t limit = 1000; ///< About how many items a page has, 1 to 10,000.
    bool full = false;        ///< Without a cursor: all items come as additions first.
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

/// How to walk folders.
struct WalkOptions {
    Rules rules = Rules::all;  ///< The rules that hold.
    bool follow_links = true;  ///< Links to folders are followed after everything else. If not, each is a finding.
    std::size_t limit = 10000; ///< About how many names one call of the library reads, 1 to 1,000,000.
    /// Asked before each folder that was found is read: `false` leaves it out. It is not asked for the folders that are
    /// given nor for the target of a link, but for all below these. With it a call reads one folder, which is slower.
    /// An exception ends the stream, which throws it, in plexindex::results too. Default: all are read.
    std::function<bool(std::string_view folder)> enter{};
};

/// An item of an answer or stream. It shares the memory of that answer, or page of the stream, so a copy is cheap. A
/// text that is not known is empty. Texts are UTF-8, but for path().
class Item {
public:
    Item() noexcept = default;
    /// @cond
    Item(const detail::Block &block, const plexindex_item *record) noexcept : record_{block, std::move(record)} {}
    /// @endcond

    /// Returns Plex's address of the item, `/library/metadata/<rating key>`.
    [[nodiscard]] std::string_view key() const & noexcept { return text(record_->key); }
    /// Returns Plex's rating key.
    [[nodiscard]] std::string_view rating_key() const & noexcept { return text(record_->rating_key); }
    /// Returns the title; for an episode the episode's.
    [[nodiscard]] std::string_view title() const & noexcept { return text(record_->title); }
    /// Returns the scalar GUID.
    [[nodiscard]] std::string_view guid() const & noexcept { return text(record_->guid); }
    /// Returns the title of the show, for a track or album of the artist.
    [[nodiscard]] std::string_view show_title() const & noexcept { return text(record_->show_title); }
    /// Returns the rating key of the show or artist.
    [[nodiscard]] std::string_view show_rating_key() const & noexcept { return text(record_->show_rating_key); }
    /// Returns the scalar GUID of the show or artist.
    [[nodiscard]] std::string_view show_guid() const & noexcept { return text(record_->show_guid); }
    /// Returns the listed path that fits, as the server spells it; for a recorded match the recorded path.
    [[nodiscard]] std::string_view path() const & noexcept { return text(record_->path); }
    /// Returns the section id of its library.
    [[nodiscard]] std::string_view section() const & noexcept { return text(record_->section); }
    /// Returns the title of its library.
    [[nodiscard]] std::string_view library_title() const & noexcept { return text(record_->library_title); }
    /// Returns its type.
    [[nodiscard]] ItemKind kind() const noexcept { return static_cast<ItemKind>(record_->kind); }
    /// Returns the year.
    [[nodiscard]] std::optional<int> year() const noexcept { return number(record_->year, 1); }
    /// Returns the season, for a track the disc.
    [[nodiscard]] std::optional<int> season() const noexcept { return number(record_->season, 0); }
    /// Returns the number of the episode or track.
    [[nodiscard]] std::optional<int> episode() const noexcept { return number(record_->episode, 0); }
    /// Returns whether path() is UTF-8.
    [[nodiscard]] bool is_path_utf8() const noexcept { return (record_->flags & PLEXINDEX_ITEM_PATH_NOT_UTF8) == 0; }
    /// Returns whether only the key is known: the match was recorded and no listing holds the item.
    [[nodiscard]] bool is_key_only() const noexcept { return (record_->flags & PLEXINDEX_ITEM_KEY_ONLY) != 0; }
    /// Returns whether Library::list_items_not_on_disk() did not find the file path() on this machine.
    [[nodiscard]] bool is_file_missing() const noexcept {
        return (record_->flags & PLEXINDEX_ITEM_FILE_MISSING) != 0;
    }
    /// Returns whether Library::list_items_not_on_disk() could not look for the file.
    [[nodiscard]] bool is_file_unknown() const noexcept {
        return (record_->flags & PLEXINDEX_ITEM_FILE_UNKNOWN) != 0;
    }

private:
    std::string_view text(const plexindex_text &text) const noexcept { return record_.text(text); }
    static std::optional<int> number(int number, int least) noexcept {
        return number < least ? std::nullopt : std::optional<int>(number);
    }

    detail::ItemRecord record_;
};

/// @cond
namespace detail {
/// An item of a result without a name. It keeps the memory, but a text does not: it would end with the expression. With
/// a name of its own it is used as any item.
struct NamelessItem : Item {
    using Item::key, Item::rating_key, Item::title, Item::guid, Item::show_title, Item::show_rating_key,
        Item::show_guid, Item::path, Item::section, Item::library_title;
    void key() && = delete;
    void rating_key() && = delete;
    void title() && = delete;
    void guid() && = delete;
    void show_title() && = delete;
    void show_rating_key() && = delete;
    void show_guid() && = delete;
    void path() && = delete;
    void section() && = delete;
    void library_title() && = delete;
};
/// Of an item of a result without a name: what is no text.
class NamelessFacts : Item {
public:
    explicit NamelessFacts(const Item &item) noexcept : Item(item) {}
    using Item::kind, Item::year, Item::season, Item::episode, Item::is_path_utf8, Item::is_key_only,
        Item::is_file_missing, Item::is_file_unknown;
};
/// The same for std::optional<Item>.
struct NamelessOptional : std::optional<Item> {
    const Item *operator->() const & noexcept { return std::optional<Item>::operator->(); }
    Arrow<NamelessFacts> operator->() && noexcept { return {NamelessFacts(std::optional<Item>::operator*())}; }
    const Item &operator*() const & noexcept { return std::optional<Item>::operator*(); }
    NamelessItem operator*() && noexcept { return {std::optional<Item>::operator*()}; }
    const Item &value() const & { return std::optional<Item>::value(); }
    NamelessItem value() && { return {std::optional<Item>::value()}; }
    template <class U> Item value_or(U &&other) const & {
        return std::optional<Item>::value_or(std::forward<U>(other));
    }
    template <class U> NamelessItem value_or(U &&other) && {
        return {std::optional<Item>::value_or(std::forward<U>(other))};
    }
};
} // namespace detail
/// @endcond

/// The candidates of an answer, the best first: a random-access range of Item. It shares the answer's memory.
class Candidates {
public:
    using iterator = detail::Iterator<Candidates>; ///< Random access in C++20, an input iterator in C++17.

    Candidates() noexcept = default;
    /// @cond
    explicit Candidates(detail::AnswerRecord of) noexcept : answer_(std::move(of)) {}
    /// @endcond

    /// Returns how many there are.
    [[nodiscard]] std::size_t size() const noexcept { return answer_->candidates_count; }
    /// Returns whether there is none.
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// Returns one of them; beyond the last one an empty item.
    /// @{
    [[nodiscard]] Item operator[](std::size_t place) const & noexcept { return at(place); }
    [[nodiscard]] detail::NamelessItem operator[](std::size_t place) && noexcept { return {at(place)}; }
    /// @}
    /// The best one.
    [[nodiscard]] iterator begin() const & noexcept { return {*this, 0}; }
    void begin() && = delete; // its elements' texts could end before they are read
    /// Behind the last one.
    [[nodiscard]] iterator end() const noexcept { return {*this, size()}; }

private:
    Item at(std::size_t place) const noexcept {
        return {answer_.block, plexindex_get_candidate(&answer_.block.buffer(), answer_.get(), place)};
    }

    detail::AnswerRecord answer_;
};

/// The answer for one path, folder, GUID or title. A copy shares its memory.
class Answer {
public:
    Answer() noexcept = default;
    /// @cond
    Answer(const detail::Block &block, std::size_t place) noexcept
        : record_{block, plexindex_get_answer(&block.buffer(), place)} {}
    /// @endcond

    /// Returns Status::ok with an item; not_found, ambiguous, not_yet, needs_warm; in a batch also this answer's error.
    /// Status::null_pointer: there is no answer, since this is new, was moved from, or given to a call that failed.
    [[nodiscard]] Status status() const noexcept { return static_cast<Status>(record_->status); }
    /// Returns whether there is a single item.
    explicit operator bool() const noexcept { return status() == Status::ok; }
    /// Returns how the item was found.
    [[nodiscard]] MatchKind match_kind() const noexcept { return static_cast<MatchKind>(record_->match_kind); }
    /// Returns how sure the answer is.
    [[nodiscard]] Confidence confidence() const noexcept { return static_cast<Confidence>(record_->confidence); }
    /// Returns why there is no single item, or what speaks for it or against it.
    [[nodiscard]] Reason reason() const noexcept { return static_cast<Reason>(record_->reason); }
    /// Returns a sentence for people: what reason() says, or the error's text.
    [[nodiscard]] std::string_view message() const & noexcept { return record_.text(record_->message); }
    void message() && = delete;
    /// Returns the single item.
    /// @{
    [[nodiscard]] std::optional<Item> item() const & noexcept { return single(); }
    [[nodiscard]] detail::NamelessOptional item() && noexcept { return {single()}; }
    /// @}
    /// Returns what fits, the best first, at most 16. A single item is the first.
    /// @{
    [[nodiscard]] const Candidates candidates() const & noexcept { return Candidates(record_); }
    [[nodiscard]] Candidates candidates() && noexcept { return Candidates(record_); }
    /// @}
    /// Returns how many fit in all.
    [[nodiscard]] std::size_t candidates_total() const noexcept { return record_->candidates_total; }
    /// Of a folder: returns how many items have a file below it; 0 where that is not known.
    [[nodiscard]] std::uint64_t items() const noexcept { return record_->items; }
    /// Of a folder: returns how many listed files are below it; 0 where that is not known.
    [[nodiscard]] std::uint64_t files() const noexcept { return record_->files; }
    /// Of a folder: returns whether it is a show, season, artist or album, or the type of its single item.
    [[nodiscard]] ItemKind kind() const noexcept { return static_cast<ItemKind>(record_->kind); }
    /// Returns whether the answer may be out of date.
    [[nodiscard]] bool is_stale() const noexcept { return (record_->flags & PLEXINDEX_ANSWER_STALE) != 0; }
    /// Returns how long ago the listing that answered was last known to be current; nothing if no listing answered.
    [[nodiscard]] std::optional<milliseconds> age() const noexcept {
        return record_->age_ms < 0 ? std::nullopt : std::optional(milliseconds(record_->age_ms));
    }

protected:
    /// @cond
    detail::AnswerRecord record_;
    /// @endcond

private:
    std::optional<Item> single() const noexcept {
        const plexindex_item *item = plexindex_get_item(&record_.block.buffer(), record_.get());
        return item == nullptr ? std::nullopt : std::optional<Item>(Item(record_.block, item));
    }
};

/// The answers of a batch, one for each path in order: a random-access range of Answer. A copy shares its memory.
class Answers {
public:
    using iterator = detail::Iterator<Answers>; ///< Random access in C++20, an input iterator in C++17.

    /// Returns how many answers there are.
    [[nodiscard]] std::size_t size() const noexcept { return plexindex_count_answers(&block_.buffer()); }
    /// Returns whether there is none.
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// Returns one of them; beyond the last one an empty answer, with Status::null_pointer.
    /// @{
    [[nodiscard]] const Answer operator[](std::size_t place) const & noexcept { return {block_, place}; }
    [[nodiscard]] Answer operator[](std::size_t place) && noexcept { return {block_, place}; }
    /// @}
    /// The first answer.
    [[nodiscard]] iterator begin() const & noexcept { return {*this, 0}; }
    void begin() && = delete; // its elements' texts could end before they are read
    /// Behind the last one.
    [[nodiscard]] iterator end() const noexcept { return {*this, size()}; }

    /// Returns how many log lines wait for drain_log().
    [[nodiscard]] std::uint32_t log_lines() const noexcept { return block_.log_lines(); }

private:
    template <class> friend class BasicLibrary;
    detail::Block block_;
};

/// An Answer that Library::match_into() can fill. A copy shares its memory.
class Match : public Answer {
public:
    Match() noexcept = default;

    /// Returns how many log lines wait for drain_log().
    [[nodiscard]] std::uint32_t log_lines() const noexcept { return record_.block.log_lines(); }

private:
    template <class> friend class BasicLibrary;
    explicit Match(const detail::Block &block) noexcept : Answer(block, 0) {}
};

/// The keys of a batch of fast lookups, one for each path in order: a random-access range of std::string_view. An empty
/// key says that a fast lookup does not know. A copy shares its memory.
class Keys {
public:
    using iterator = std::vector<std::string_view>::const_iterator; ///< Random access.

    /// Returns how many there are.
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    /// Returns whether there is none.
    [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }
    /// Returns one of them, which has to exist.
    [[nodiscard]] std::string_view operator[](std::size_t place) const & noexcept { return keys_[place]; }
    /// The first key.
    [[nodiscard]] iterator begin() const & noexcept { return keys_.begin(); }
    /// Behind the last one.
    [[nodiscard]] iterator end() const & noexcept { return keys_.end(); }
    // A text keeps no memory, and that of a result without a name is gone before its keys are read.
    void operator[](std::size_t) const && = delete;
    void begin() const && = delete;
    void end() const && = delete;

private:
    template <class> friend class BasicLibrary;
    detail::Block block_;
    std::vector<std::string_view> keys_;
};

/// A library, and how fresh its listing is.
struct LibraryInfo {
    std::string section{};                ///< Its section id, such as `1`.
    std::string uuid{};                   ///< Outlives a renaming; `section:` and the id where the server has none.
    std::string title{};                  ///< Its title. Titles may repeat.
    ItemKind kind = ItemKind::other;      ///< movie, show, artist, photo or other.
    std::vector<std::string> locations{}; ///< Its folders, as the server sees them.
    std::uint64_t items = 0;              ///< Items listed; 0 if it was never fetched.
    std::optional<milliseconds> age{};    ///< Since the listing was last known to be current; nothing: never fetched.
    bool fresh = false;                   ///< The next query is answered without asking the server.
    std::uint64_t generation = 0;         ///< A number that moves only when the listing changes.
};

/// An item with all its files and external ids. Texts that are not known are empty.
struct ItemDetails {
    std::string key{};                ///< Plex's address of the item.
    std::string rating_key{};         ///< Plex's rating key.
    ItemKind kind = ItemKind::other;  ///< Its type.
    std::string title{};              ///< Its title; for an episode the episode's.
    std::optional<int> year{};        ///< The year.
    std::string show_title{};         ///< Title of the show, for a track of the artist.
    std::string show_rating_key{};    ///< Rating key of the show or artist.
    std::string show_guid{};          ///< Scalar GUID of the show or artist.
    std::optional<int> season{};      ///< The season, for a track the disc.
    std::optional<int> episode{};     ///< The number of the episode or track.
    std::string guid{};               ///< The scalar GUID.
    std::vector<std::string> guids{}; ///< External ids, such as `imdb://tt0000001`.
    std::vector<std::string> paths{}; ///< Its files, as the server spells them, in UTF-8.
};

/// A server that answered.
struct ServerInfo {
    std::string machine_identifier{}; ///< Its identity, the same behind every URL.
    std::string version{};            ///< Its version; empty when it gives none.
    microseconds answered_in{0};      ///< How long it took to answer a small request.
    std::uint64_t libraries = 0;      ///< How many libraries it shows to the token's user.
};

/// The place of a store.
struct StoreInfo {
    std::string folder{};                      ///< The folder.
    std::optional<std::string> file_system{};  ///< Its kind of file system, such as `ext4`, where the system tells.
    std::string journal{};                     ///< `wal`, or `truncate` where processes cannot share memory: slower.
    bool shares_memory = false;                ///< Processes can share memory there.
    bool counter_page = false;                 ///< Lookups notice other processes' changes without asking the database.
    bool locks = false;                        ///< A lock kept another holder out in a test just now.
    std::optional<std::string> locks_error{};  ///< The error of that test.
    std::uint64_t disk_bytes = 0;              ///< Bytes that the store takes.
    std::optional<std::uint64_t> free_bytes{}; ///< Bytes that are free on the disk, where the system tells.
};

/// What to do with the log that hosts share.
enum class SharedAction : std::int32_t {
    status = PLEXINDEX_SHARED_STATUS, ///< Nothing: tell how it is.
    init = PLEXINDEX_SHARED_INIT,     ///< Create its tables, or upgrade them.
    clear = PLEXINDEX_SHARED_CLEAR,   ///< Empty it, for all servers and users. Each host keeps its folder.
    /// Wait until it has all that this host has to tell: Status::timeout if it does not in time, and delivers it later.
    deliver = PLEXINDEX_SHARED_DELIVER,
    follow = PLEXINDEX_SHARED_FOLLOW,     ///< Take news of other hosts as it comes from now on.
    unfollow = PLEXINDEX_SHARED_UNFOLLOW, ///< End that.
};

/// What the shared log holds of one server as one user sees it.
struct SharedView {
    std::string server{};                                           ///< The server's machine identifier.
    std::uint64_t last = 0;                                         ///< The number of the last entry.
    std::optional<milliseconds> age{};                              ///< Since it was written.
    std::vector<std::pair<std::string, std::uint64_t>> entries{};   ///< How many, by kind.
    std::uint64_t hosts = 0;                                        ///< Hosts that wrote something.
    std::uint64_t bytes = 0;                                        ///< Size of the entries and listings.
};

/// What the shared log holds, and how far this folder is behind.
struct SharedStatus {
    std::string address{};                      ///< Its address, without a password.
    bool reachable = false;                     ///< It answered.
    std::optional<std::string> error{};         ///< Why it did not answer.
    std::optional<std::string> server{};        ///< The machine identifier of the index's server.
    std::optional<std::uint64_t> taken{};       ///< The number of the last entry that this folder has.
    std::optional<std::uint64_t> undelivered{}; ///< Entries of this folder that wait to be delivered.
    std::optional<std::uint64_t> behind{};      ///< Entries of other hosts that this folder lacks.
    std::vector<SharedView> views{};            ///< What it holds, for each server and user.
};

/// A mapping that seems to be missing.
struct MappingProposal {
    std::string from{};        ///< The folder in the host's paths.
    std::string to{};          ///< The folder as the server has it.
    std::uint64_t matched = 0; ///< How many paths would be listed with the mapping.
    std::uint64_t of = 0;      ///< How many paths were found by their end or file name.
    std::uint64_t gain = 0;    ///< How many given paths it has listed, of those that the ones before it leave.
    /// Returns the rule, for Options::mappings.
    [[nodiscard]] Mapping mapping() const { return {from, to, Mapping::Kind::host_prefix}; }
};

/// What happened to an item's file, or to a library.
enum class ChangeKind : std::uint8_t {
    other,      ///< A newer library says something that this header does not know: list again.
    added,      ///< The file was added.
    removed,    ///< The file was removed.
    changed,    ///< The item was changed.
    moved,      ///< The file was moved.
    list_again, ///< The library has to be listed again, with ChangesOptions::full.
};

/// Returns the name of a kind of change, such as `LIST_AGAIN`; `UNKNOWN` for a number without one.
[[nodiscard]] constexpr const char *change_kind_name(ChangeKind kind) noexcept {
    switch (kind) {
    case ChangeKind::other: return "OTHER";
    case ChangeKind::added: return "ADDED";
    case ChangeKind::removed: return "REMOVED";
    case ChangeKind::changed: return "CHANGED";
    case ChangeKind::moved: return "MOVED";
    case ChangeKind::list_again: return "LIST_AGAIN";
    }
    return "UNKNOWN";
}

/// A change since a cursor was given. Take the item (by `from_key`, else its key) away from `from` and from `path`, and
/// put it to `path` unless it was removed.
struct Change {
    ChangeKind kind = ChangeKind::other;   ///< What happened.
    std::string library{};                 ///< Title of the library.
    std::string section{};                 ///< Its section id.
    std::optional<std::string> path{};     ///< The file, as the server spells it; nothing where there is no file.
    std::optional<std::string> from{};     ///< Where the file was; with `changed` another file that the item has lost.
    std::optional<std::string> from_key{}; ///< The rating key before, where the item got another one.
    std::optional<ItemDetails> item{};     ///< The item, as it is since or was when it was removed; nothing: a library.
};

/// A page of the feed of changes.
struct ChangesPage {
    std::vector<Change> changes{}; ///< Oldest first.
    std::string cursor{};          ///< The cursor for the next call: up to 200 bytes of ASCII. It outlives processes.
    bool more = false;             ///< The next page may have changes now: call again.
};

/// What happened: the fields of `plexindex_stats`, which plexindex.h describes. `_us` is microseconds.
struct Statistics : plexindex_stats {
    /// Returns how many answers were found in this way; of `none` how many had no item.
    [[nodiscard]] std::uint64_t answers_by(MatchKind kind) const noexcept {
        const auto place = static_cast<std::size_t>(kind);
        return place < std::size(answers) ? answers[place] : 0;
    }
};

/// What a walk found.
struct Finding {
    /// What it is.
    enum class Kind : std::uint8_t {
        other,      ///< A newer library says something that this header does not know.
        file,       ///< A media file that is not listed as a single item.
        left_out,   ///< A folder that is not read.
        link,       ///< A link to a folder, without WalkOptions::follow_links.
        unreadable, ///< A folder or link that cannot be read.
    };
    Kind kind = Kind::other; ///< What it is.
    bool twin = false;       ///< A name beside it or above differs in case or composition only.
    std::string path{};      ///< The path, in the file system's bytes.
    std::string cause{};     ///< A rule, such as `hidden`; a cause of plexindex_walk(), such as `not_scanned`.
    std::string detail{};    ///< A line of a .plexignore; the listed path; with `linked` the real path.
};

/// Returns the name of a kind of finding, such as `LEFT_OUT`; `UNKNOWN` for a number without one.
[[nodiscard]] constexpr const char *finding_kind_name(Finding::Kind kind) noexcept {
    switch (kind) {
    case Finding::Kind::other: return "OTHER";
    case Finding::Kind::file: return "FILE";
    case Finding::Kind::left_out: return "LEFT_OUT";
    case Finding::Kind::link: return "LINK";
    case Finding::Kind::unreadable: return "UNREADABLE";
    }
    return "UNKNOWN";
}

/// How one path relates to another.
struct PathRelation {
    bool is_equal = false;    ///< The two paths have the same components.
    bool is_under = false;    ///< The path lies under the other one.
    std::uint32_t common = 0; ///< How many components agree, from the end.
};

/// An edit of many items, for Library::edit_items(). It keeps copies of its texts. The names are Plex's.
class Edit {
public:
    /// What becomes of the locks of the fields that are named.
    enum class Lock : std::int32_t {
        lock = PLEXINDEX_EDIT_LOCK,     ///< They are locked: the server's agents leave them alone.
        unlock = PLEXINDEX_EDIT_UNLOCK, ///< They are unlocked.
        leave = PLEXINDEX_EDIT_LEAVE,   ///< They stay as they are.
    };

    /// Adds an item, by its key or rating key.
    Edit &item(std::string_view key) { return keys_.add(key), *this; }
    /// Sets a field.
    Edit &set(std::string_view name, std::string_view value) { return change(name, "", value); }
    /// Adds a tag.
    Edit &add(std::string_view name, std::string_view tag) { return change(name, "+", tag); }
    /// Removes a tag.
    Edit &remove(std::string_view name, std::string_view tag) { return change(name, "-", tag); }
    /// Changes a field's lock only.
    Edit &touch(std::string_view name) { return change(name, "!", ""); }

    Lock lock = Lock::lock;                 ///< What becomes of the locks.
    std::optional<milliseconds> deadline{}; ///< As QueryOptions::deadline.

private:
    template <class> friend class BasicLibrary;
    Edit &change(std::string_view name, std::string_view how, std::string_view value) {
        changes_.add(std::string(name).append(how));
        changes_.add(value);
        return *this;
    }

    Paths keys_;
    Paths changes_;
};

/// How far an edit came, whether it succeeded or not.
struct EditReport {
    /// What became of one item.
    enum class State : std::uint8_t {
        no = PLEXINDEX_EDITED_NO,           ///< No request was sent for the item.
        done = PLEXINDEX_EDITED_DONE,       ///< The item was edited.
        failed = PLEXINDEX_EDITED_FAILED,   ///< Its request failed; whether it was edited is not known.
        missing = PLEXINDEX_EDITED_MISSING, ///< The server has no such item; nothing was edited.
    };
    std::vector<State> states{}; ///< For each key, in order.
    std::uint64_t done = 0;      ///< How many items the server edited.
    std::uint64_t failed = 0;    ///< How many are of the request that failed.
    std::uint64_t requests = 0;  ///< How many requests were sent.
};

/// @cond
namespace detail {

/// Reads JSON (RFC 8259) strictly into structs. Members of objects that are not named are skipped.
class Json {
public:
    explicit Json(std::string_view text) noexcept : left_(text) {}

    /// Reads the whole text as one value. Returns whether it is one, of this type.
    template <class T> bool read(T &value) { return get(value), space(), ok_ && left_.empty(); }

private:
    void require(bool condition) noexcept {
        if (!condition) ok_ = false, left_ = {};
    }
    void space() noexcept { left_.remove_prefix(std::min(left_.find_first_not_of(" \t\r\n"), left_.size())); }
    std::uint32_t byte(std::size_t at) const noexcept {
        return at < left_.size() ? static_cast<unsigned char>(left_[at]) : 0;
    }
    bool next(std::string_view word) noexcept {
        const bool is_next = left_.substr(0, word.size()) == word;
        if (is_next) left_.remove_prefix(word.size());
        return is_next;
    }
    bool take(std::string_view word) noexcept { return space(), next(word); }

    template <class Element> void list(std::string_view open, std::string_view close, Element element) {
        require(take(open) && ++depth_ < 64);
        if (!take(close) && ok_) {
            do element();
            while (take(","));
            require(take(close));
        }
        --depth_;
    }
    template <class... Members> void object(Members &&...members) {
        list("{", "}", [&] {
            std::string key;
            get(key);
            require(take(":"));
            member(key, members...);
        });
    }
    void member(const std::string &) { skip(); }
    template <class T, class... Rest> void member(const std::string &key, const char *name, T &value, Rest &&...rest) {
        if (key == name) get(value);
        else member(key, rest...);
    }
    void skip() {
        std::string text;
        space();
        if (byte(0) == '"') get(text);
        else if (byte(0) == '{') object();
        else if (byte(0) == '[') list("[", "]", [&] { skip(); });
        else if (!next("true") && !next("false") && !next("null")) number();
    }
    /// Takes a number; returns its text.
    std::string_view number() {
        space();
        const std::string_view begin = left_;
        const auto is_digit = [&] { return byte(0) >= '0' && byte(0) <= '9'; };
        const auto digits = [&] {
            for (require(is_digit()); is_digit();) left_.remove_prefix(1);
        };
        next("-");
        if (!next("0")) digits();
        if (next(".")) digits();
        if (next("e") || next("E")) static_cast<void>(next("+") || next("-")), digits();
        return begin.substr(0, begin.size() - left_.size());
    }
    template <class T> std::enable_if_t<std::is_integral_v<T>> get(T &value) {
        const std::string_view text = number();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        require(ok_ && error == std::errc() && end == text.data() + text.size());
    }
    void get(bool &value) {
        value = take("true");
        require(value || take("false"));
    }
    template <class Rep, class Period> void get(std::chrono::duration<Rep, Period> &value) {
        Rep count{};
        get(count);
        value = std::chrono::duration<Rep, Period>(count);
    }
    template <class T> void get(std::optional<T> &value) {
        if (take("null")) value.reset();
        else get(value.emplace());
    }
    template <class T> void get(std::vector<T> &value) {
        value.clear();
        list("[", "]", [&] { get(value.emplace_back()); });
    }
    void get(std::string &value) {
        value.clear();
        for (require(take("\"")); ok_ && !next("\"");) {
            require(byte(0) >= 0x20);
            if (next("\\")) escape(value);
            else character(value);
        }
    }
    /// Takes a character, and requires that it is one in UTF-8.
    void character(std::string &value) {
        const std::string_view begin = left_;
        const std::size_t before = value.size();
        const std::size_t more = byte(0) < 0x80 ? 0 : byte(0) < 0xE0 ? 1 : byte(0) < 0xF0 ? 2 : 3;
        std::uint32_t code = more == 0 ? byte(0) : byte(0) & (0x3Fu >> more);
        for (std::size_t i = 1; i <= more; ++i) code = code << 6 | (byte(i) & 0x3Fu);
        left_.remove_prefix(std::min(more + 1, left_.size()));
        append(value, code);
        require(begin.substr(0, more + 1) == std::string_view(value).substr(before));
    }
    void append(std::string &value, std::uint32_t code) {
        require(code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF));
        const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        value.push_back(static_cast<char>(more == 0 ? code : 0xFF00u >> (more + 1) | code >> 6 * more));
        for (int i = more - 1; i >= 0; --i) value.push_back(static_cast<char>(0x80 | (code >> 6 * i & 0x3F)));
    }
    void escape(std::string &value) {
        static constexpr std::string_view names = "\"\\/bfnrt", characters = "\"\\/\b\f\n\r\t";
        const std::size_t place = names.find(static_cast<char>(byte(0)));
        if (!next("u")) {
            require(place != names.npos);
            if (ok_) value.push_back(characters[place]), left_.remove_prefix(1);
            return;
        }
        std::uint32_t code = digits4();
        if (code >= 0xD800 && code < 0xDC00) { // the first half of a pair
            require(next("\\u"));
            const std::uint32_t second = digits4();
            require(second >= 0xDC00 && second < 0xE000);
            code = 0x10000 + ((code - 0xD800) << 10 | (second & 0x3FF));
        }
        append(value, code);
    }
    std::uint32_t digits4() {
        std::uint32_t code = 0;
        const std::string_view text = left_.substr(0, 4);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code, 16);
        require(text.size() == 4 && error == std::errc() && end == text.data() + 4);
        left_.remove_prefix(std::min<std::size_t>(4, left_.size()));
        return code;
    }
    template <class T, std::size_t N> void word(T &value, const std::string_view (&words)[N]) {
        std::string text;
        get(text);
        place_of(value, text, words);
    }
    void get(ItemKind &value) {
        word(value, {"", "movie", "show", "season", "episode", "", "", "", // by number
                     "artist", "album", "track", "", "clip", "photo"});
    }
    void get(LibraryInfo &to) {
        object("section", to.section, "uuid", to.uuid, "title", to.title, "kind", to.kind, "locations", to.locations,
               "items", to.items, "age_ms", to.age, "fresh", to.fresh, "generation", to.generation);
    }
    void get(ItemDetails &to) {
        object("key", to.key, "rating_key", to.rating_key, "kind", to.kind, "title", to.title, "year", to.year,
               "show_title", to.show_title, "show_rating_key", to.show_rating_key, "show_guid", to.show_guid, "season",
               to.season, "episode", to.episode, "guid", to.guid, "guids", to.guids, "paths", to.paths);
        if (to.year == 0) to.year.reset();
        if (to.season < 0) to.season.reset();
        if (to.episode < 0) to.episode.reset();
    }
    void get(ServerInfo &to) {
        object("machine_identifier", to.machine_identifier, "version", to.version, "answered_us", to.answered_in,
               "libraries", to.libraries);
    }
    void get(StoreInfo &to) {
        object("folder", to.folder, "file_system", to.file_system, "journal", to.journal, "shares_memory",
               to.shares_memory, "counter_page", to.counter_page, "locks", to.locks, "locks_error", to.locks_error,
               "disk_bytes", to.disk_bytes, "free_bytes", to.free_bytes);
    }
    void get(std::vector<std::pair<std::string, std::uint64_t>> &to) {
        to.clear();
        list("{", "}", [&] {
            auto &[name, count] = to.emplace_back();
            get(name);
            require(take(":"));
            get(count);
        });
    }
    void get(SharedView &to) {
        object("server", to.server, "last", to.last, "age_ms", to.age, "entries", to.entries, "hosts", to.hosts,
               "bytes", to.bytes);
    }
    void get(SharedStatus &to) {
        object("address", to.address, "reachable", to.reachable, "error", to.error, "server", to.server, "taken",
               to.taken, "undelivered", to.undelivered, "behind", to.behind, "views", to.views);
    }
    void get(MappingProposal &to) {
        object("from", to.from, "to", to.to, "matched", to.matched, "of", to.of, "gain", to.gain);
    }

    std::string_view left_;
    int depth_ = 0;
    bool ok_ = true;
};

/// Reads JSON. Returns whether the text is a value of this type.
template <class T> bool read(std::string_view json, T &value) { return Json(json).read(value); }

/// Reads the texts of a page of changes.
inline bool read(const std::string &text, ChangesPage &page) {
    const plexindex_buffer texts{const_cast<char *>(text.data()), text.size(), text.size()};
    const auto set = [](std::optional<std::string> &to, const plexindex_bytes &from) {
        if (from.data != nullptr) to.emplace(from.data, from.length);
    };
    plexindex_bytes head[2];
    std::size_t at = 0;
    bool is_read = plexindex_get_next_texts(&texts, &at, head, 2) != 0;
    if (is_read) page.cursor = head[0].data, page.more = head[1].length != 0;
    for (plexindex_change one; plexindex_get_next_change(&texts, &at, &one);) {
        Change &change = page.changes.emplace_back();
        place_of(change.kind, one.kind, {"", "added", "removed", "changed", "moved", "list_again"});
        change.library.assign(one.library_title.data, one.library_title.length);
        change.section.assign(one.section.data, one.section.length);
        set(change.path, one.path), set(change.from, one.from), set(change.from_key, one.from_key);
        if (one.item.data != nullptr) is_read = read({one.item.data, one.item.length}, change.item) && is_read;
    }
    return is_read;
}

inline std::int64_t deadline_ms(const std::optional<milliseconds> &deadline) noexcept {
    if (!deadline.has_value()) return 0;
    if (*deadline == no_deadline) return PLEXINDEX_NO_DEADLINE;
    // 0 and -1 have other meanings in C. `end - now` is negative when the time is up.
    return std::max<std::int64_t>(1, deadline->count());
}

inline std::uint32_t when(bool is_set, std::uint32_t flag) noexcept { return is_set ? flag : 0; }

/// A host's function, called through C: what it throws waits here until C has returned.
template <class Function> class Callback {
public:
    explicit Callback(const Function &function) noexcept : function_(function) {}

    template <class... Arguments> bool operator()(const Arguments &...arguments) {
        const auto call = [&]() -> bool {
            if constexpr (std::is_void_v<decltype(function_(arguments...))>) return function_(arguments...), true;
            else return function_(arguments...);
        };
        return thrown_ == nullptr && shield(false, call, [&](std::exception_ptr thrown) { thrown_ = thrown; });
    }
    void rethrow() {
#if defined(__cpp_exceptions)
        if (thrown_ != nullptr) std::rethrow_exception(std::exchange(thrown_, nullptr));
#endif
    }

private:
    const Function &function_;
    std::exception_ptr thrown_;
};

/// A query, and the host's function while it runs.
class Query {
public:
    Query(const plexindex_library_handle *library, std::string_view text, const QueryOptions &options,
          std::uint32_t flags = 0)
        : callback_(options.progress) {
        raw.size = sizeof raw;
        raw.library = library;
        raw.text = bytes(text);
        raw.deadline_ms = deadline_ms(options.deadline);
        raw.flags = flags | when(options.offline, PLEXINDEX_QUERY_OFFLINE) |
                    when(options.at_once, PLEXINDEX_QUERY_AT_ONCE);
        if (options.progress) {
            raw.progress = report;
            raw.progress_user = &callback_;
        }
    }
    void rethrow() { callback_.rethrow(); }

    plexindex_query raw{};

private:
    using ProgressCallback = Callback<std::function<bool(const Progress &)>>;

    static std::int32_t report(void *user, const plexindex_progress *raw) {
        const std::string_view library(raw->library.data == nullptr ? "" : raw->library.data, raw->library.length);
        const milliseconds elapsed(static_cast<milliseconds::rep>(raw->elapsed_ms));
        return (*static_cast<ProgressCallback *>(user))(Progress{library, raw->items, raw->total, elapsed}) ? 0 : 1;
    }

    ProgressCallback callback_;
};

/// Arguments as C takes them: a text is two.
inline std::tuple<const char *, std::size_t> spread(std::string_view text) noexcept {
    return {text.data(), text.size()};
}
inline std::tuple<const plexindex_query *> spread(Query &query) noexcept { return {&query.raw}; }
template <class T> std::tuple<T> spread(const T &argument) noexcept { return {argument}; }
inline void rethrow(Query &query) { query.rethrow(); }
template <class T> void rethrow(const T &) noexcept {}

/// Calls C, then throws what a host's function threw meanwhile.
template <class Function, class... Arguments> std::int32_t call(Function function, Arguments &&...arguments) {
    const std::int32_t status = std::apply(function, std::tuple_cat(spread(arguments)...));
    (rethrow(arguments), ...);
    return status;
}

/// Fills a string by a call that writes text.
template <class Call> std::int32_t fill(std::string &text, Call call) {
    std::int32_t status = PLEXINDEX_BUFFER_TOO_SMALL;
    // Calls that ask the server refuse less. A string that holds so little itself may have any alignment.
    plexindex_buffer buffer{nullptr, 0, std::max<std::size_t>(text.capacity(), 4096)};
    while (status == PLEXINDEX_BUFFER_TOO_SMALL && buffer.length > buffer.capacity) {
        text.resize(buffer.length);
        buffer = {&text[0], text.size(), 0};
        status = call(&buffer);
    }
    text.resize(status == PLEXINDEX_OK ? buffer.length : 0);
    return status;
}

/// Calls of classes with this kind of errors.
template <class Policy> struct Caller {
    template <class T> using Of = typename Policy::template Of<T>;

    /// Calls a function without an answer.
    template <class... Arguments> static Of<void> run(Arguments &&...arguments) {
        Failure failure;
        const std::int32_t status = call(arguments..., failure.buffer());
        if (status >= first_error) return Policy::template failed<void>(failure.error(status));
        return Of<void>();
    }
    /// Calls a function of a value to fill in and of the error's buffer, which returns a status.
    template <class T, class Fill> static Of<T> made(Fill fill) {
        T value{};
        Failure failure;
        const std::int32_t status = fill(value, failure.buffer());
        if (status >= first_error) return Policy::template failed<T>(failure.error(status));
        return Of<T>(std::move(value));
    }
    /// Calls a function whose status is the answer.
    template <class... Arguments> static Of<Status> status(Arguments &&...arguments) {
        return made<Status>([&](Status &status, auto *error) {
            const std::int32_t number = call(arguments..., error);
            return status = static_cast<Status>(number), number;
        });
    }
    /// Calls a function that writes text.
    template <class... Arguments>
    static std::int32_t text(std::string &text, plexindex_buffer *error, Arguments &&...arguments) {
        return fill(text, [&](plexindex_buffer *buffer) { return call(arguments..., buffer, error); });
    }
    /// Calls a function that writes JSON, or a page of changes; without a text the answer is empty.
    template <class T, class... Arguments> static Of<T> json(Arguments &&...arguments) {
        bool is_read = true;
        Of<T> value = made<T>([&](T &to, auto *error) {
            std::string json;
            const std::int32_t status = text(json, error, arguments...);
            is_read = status != PLEXINDEX_OK || read(json, to);
            return status;
        });
        if (is_read) return value;
        return Policy::template failed<T>(Error(Status::unsupported, "the library's JSON is not what this header "
                                                                     "reads: install matching versions"));
    }
};

/// Reads items page by page, by a function that receives the path of the last item before.
class ItemPages {
public:
    using value_type = Item;
    using Read = std::function<std::int32_t(std::string_view after, plexindex_buffer *page, plexindex_buffer *error)>;
    ItemPages() = default;
    explicit ItemPages(Read read, bool only_missing = false) : read_(std::move(read)), only_missing_(only_missing) {}

    std::int32_t next(plexindex_buffer *error) {
        for (;;) {
            const std::int32_t status = next_of_all(error);
            if (status != PLEXINDEX_OK || !only_missing_ || current().is_file_missing()) return status;
        }
    }
    Item current() const noexcept { return page_[place_]; }
    std::uint64_t files() const noexcept { return files_; }

private:
    std::int32_t next_of_all(plexindex_buffer *error) {
        if (++place_ < page_.size()) return PLEXINDEX_OK;
        if (!page_.empty()) after_ = page_[page_.size() - 1].path();
        page_ = {}; // its memory is filled again unless the host has an item of it
        const std::int32_t status = block_.fill(64 * 1024, [&](plexindex_buffer *page) {
            return read_ ? read_(after_, page, error) : plexindex_list_items(nullptr, nullptr, 0, page, error);
        });
        place_ = 0;
        const Answer answer(block_, 0);
        page_ = answer.candidates();
        files_ += answer.files();
        return status;
    }

    Read read_;
    bool only_missing_ = false;
    std::string after_;
    Block block_;
    Candidates page_;
    std::size_t place_ = 0;
    std::uint64_t files_ = 0;
};

/// Reads the names of a table's entries.
class TableNames {
public:
    using value_type = std::string;
    TableNames() = default;
    explicit TableNames(TableRef table) noexcept : table_(std::move(table)) {}

    std::int32_t next(plexindex_buffer *error) {
        std::string name;
        const char *after = std::exchange(begun_, true) ? name_.c_str() : nullptr;
        const std::int32_t status = fill(name, [&](plexindex_buffer *buffer) {
            return plexindex_table_get_next(table_.get(), after, name_.size(), buffer, error);
        });
        name_ = std::move(name);
        return status;
    }
    const std::string &current() const noexcept { return name_; }

private:
    TableRef table_;
    std::string name_;
    bool begun_ = false;
};

/// Walks folders of this machine.
class Walker {
public:
    using value_type = Finding;
    Walker() = default;
    Walker(LibraryRef library, const Paths &folders, WalkOptions options)
        : library_(std::move(library)), given_(folders), options_(std::move(options)) {
        for (std::string_view texts = folders.text(); !texts.empty();) add(waiting_, "folder", take(texts));
        std::reverse(waiting_.begin(), waiting_.end());
    }

    std::int32_t next(plexindex_buffer *error) {
        // A folder with a NUL would be two.
        if (!begun_ && given_.check(error) != PLEXINDEX_OK) return PLEXINDEX_INVALID_ARGUMENT;
        for (;;) {
            std::vector<std::string> found;
            for (plexindex_finding one; plexindex_get_next_finding(&block_.buffer(), &at_, &one);) {
                if (take_finding(one, found)) return PLEXINDEX_OK;
            }
            // They come last in a page, and first in the next call.
            waiting_.insert(waiting_.end(), std::move_iterator(found.rbegin()), std::move_iterator(found.rend()));
            if (begun_ && walk_ == 0 && waiting_.empty()) return PLEXINDEX_NOT_FOUND;
            const std::int32_t status = read(error);
            if (status != PLEXINDEX_OK) return status;
        }
    }
    const Finding &current() const noexcept { return finding_; }
    std::uint64_t files() const noexcept { return files_; }

private:
    static void add(std::vector<std::string> &to, std::string_view kind, std::string_view path) {
        to.emplace_back(kind).append(1, '\0').append(path).append(1, '\0');
    }

    std::int32_t read(plexindex_buffer *error) {
        std::string folders;
        // One folder a call: what is found in it comes back before it is read.
        const std::size_t count = std::min<std::size_t>(waiting_.size(), options_.enter ? 1 : 4096);
        for (std::size_t i = 1; i <= count; ++i) folders += waiting_[waiting_.size() - i];
        plexindex_walk_request raw{};
        raw.size = sizeof raw;
        raw.library = library_.get();
        raw.folders = bytes(folders);
        raw.folders_count = count;
        raw.limit = options_.enter ? std::min<std::size_t>(options_.limit, 1) : options_.limit;
        raw.walk = walk_;
        raw.rules = static_cast<std::uint32_t>(options_.rules);
        raw.flags = options_.follow_links ? 0 : PLEXINDEX_WALK_ONCE;
        const auto walk = [&](plexindex_buffer *found) { return plexindex_walk(&raw, found, error); };
        const std::int32_t status = block_.fill(256 * 1024, walk);
        waiting_.resize(waiting_.size() - count);
        at_ = 0;
        walk_ = raw.walk;
        files_ += raw.files;
        begun_ = true;
        return status;
    }
    /// Takes the next finding. Returns `false` for a folder, which is read later.
    bool take_finding(const plexindex_finding &one, std::vector<std::string> &found) {
        std::string_view kind = one.kind;
        const std::string_view path = one.path;
        const bool is_folder = kind == "folder" || kind == "twin_folder";
        if (is_folder && (!options_.enter || options_.enter(path))) add(found, kind, path);
        if (is_folder) return false;
        finding_.twin = kind.substr(0, 5) == "twin_";
        finding_.path = path, finding_.cause = one.cause, finding_.detail = one.detail;
        if (finding_.twin) kind.remove_prefix(5);
        place_of(finding_.kind, kind, {"", "file", "left_out", "link", "unreadable"});
        return true;
    }

    LibraryRef library_;
    Paths given_{};
    WalkOptions options_;
    std::vector<std::string> waiting_; // the next one last
    std::uint64_t walk_ = 0, files_ = 0;
    bool begun_ = false;
    Block block_;
    std::size_t at_ = 0;
    Finding finding_;
};

} // namespace detail
/// @endcond

/// A range that is read as it is iterated, once, by one thread: of Items, of names in a table, of Findings. Move-only;
/// do not move it while it is iterated. It keeps the index open.
///
/// An element owns its memory and can be kept; an Item keeps its page, so copy a text to keep that only. begin() and
/// `++` throw errors, which end the range. In plexindex::results each element is a Result, and an error is the last
/// element. An exception of WalkOptions::enter ends the range too: begin() and `++` throw it, in plexindex::results as
/// well.
template <class Policy, class Source> class BasicStream {
public:
    using value_type = typename Policy::template Of<typename Source::value_type>; ///< The type of an element.

    /// Goes from one element to the next. All copies of it are at the same place.
    class iterator {
        /// @cond
    public:
        using value_type = BasicStream::value_type;
        using reference = value_type;
        using pointer = detail::Arrow<value_type>;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(BasicStream *stream) noexcept : stream_(stream) {}
        reference operator*() const { return stream_->current(); }
        pointer operator->() const { return {**this}; }
        iterator &operator++() { return stream_->advance(), *this; }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.is_end() == b.is_end(); }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return a.is_end() != b.is_end(); }

    private:
        bool is_end() const noexcept { return stream_ == nullptr || stream_->state_.value.ended; }
        BasicStream *stream_ = nullptr;
        /// @endcond
    };

    /// Reads the first element, when it is called first.
    [[nodiscard]] iterator begin() & {
        if (!std::exchange(state_.value.begun, true)) advance();
        return iterator(this);
    }
    void begin() && = delete; // the iterator is of this stream
    /// Behind the last element.
    [[nodiscard]] iterator end() noexcept { return iterator(); }
    /// Returns how many files were seen so far: by Library::walk() media files, by Library::list_items_not_on_disk()
    /// files that were looked for.
    [[nodiscard]] std::uint64_t files() const noexcept { return state_.value.source.files(); }

    /// @cond
    explicit BasicStream(Source source) : state_(State{std::move(source)}) {}
    BasicStream(BasicStream &&) = default;
    BasicStream &operator=(BasicStream &&) = default;
    BasicStream(const BasicStream &) = delete;
    BasicStream &operator=(const BasicStream &) = delete;
    ~BasicStream() = default;
    /// @endcond

private:
    void advance() {
        auto &[source, failed, begun, ended] = state_.value;
        if (std::exchange(ended, true)) return; // what WalkOptions::enter throws ends it too
        detail::Failure failure;
        // After an error there is no more.
        const std::int32_t status = failed.has_value() ? PLEXINDEX_NOT_FOUND : source.next(failure.buffer());
        ended = status == PLEXINDEX_NOT_FOUND || (status >= detail::first_error && Policy::throws);
        if (status < detail::first_error) return;
        failed = failure.error(status);
        if constexpr (Policy::throws) detail::raise(*failed);
    }
    value_type current() const {
        const State &state = state_.value;
        if (state.failed.has_value()) return Policy::template failed<typename Source::value_type>(*state.failed);
        return value_type(state.source.current());
    }

    struct State {
        Source source{};
        std::optional<Error> failed{};
        bool begun = false, ended = false;
    };
    detail::Moved<State> state_;
};

/// A library of an index, or all of them; from Index::library(). It keeps the index open. A copy is the same library.
template <class Policy> class BasicLibrary {
    using Call = detail::Caller<Policy>;
    using Answering = decltype(&plexindex_match_path);
    using Listing = decltype(&plexindex_list_items_below);

public:
    template <class T> using Of = typename Policy::template Of<T>; ///< `T`, or `Result<T>`.
    using Items = BasicStream<Policy, detail::ItemPages>;          ///< A stream of Item.
    using Walk = BasicStream<Policy, detail::Walker>;              ///< A stream of Finding.

    /// The fast lookup. Returns a copy of the key (`/library/metadata/<rating key>`) of the item with this path, where
    /// the index has it at hand with high confidence. Nothing says that a fast lookup does not know: ask match(). It
    /// never fails, sends no request, and after a change waits at most 200 ms.
    [[nodiscard]] std::optional<std::string> lookup_key(PathRef path) const { return detail::copy(looked_up(path)); }
    /// lookup_key() into a string, without an allocation where that is large enough. Returns whether the key is known;
    /// the string is empty otherwise.
    bool lookup_key_into(std::string &key, PathRef path) const { return detail::copy_to(key, looked_up(path)); }
    /// lookup_key() for many paths in one call.
    [[nodiscard]] Of<Keys> lookup_keys(const Paths &paths) const {
        return Call::template made<Keys>([&](Keys &keys, auto *error) { return fill(keys, paths, error); });
    }
    /// lookup_keys() into earlier keys, whose memory is used again. After an error they are empty.
    [[nodiscard]] Of<void> lookup_keys_into(Keys &keys, const Paths &paths) const {
        return Call::run([&](auto *error) { return fill(keys, paths, error); });
    }

    /// Returns the full answer for one path. Sends requests where they are needed and allowed.
    [[nodiscard]] Of<Match> match(PathRef path, const QueryOptions &options = {}) const {
        return answer(plexindex_match_path, path.bytes(), options);
    }
    /// match() into an earlier result, whose memory is used again. Returns the answer's status. After an error, also one
    /// that `options.progress` throws, the result is empty, with Status::null_pointer.
    /// @{
    template <class P = Policy, detail::Throwing<P> = true>
    Of<Status> match_into(Match &match, PathRef path, const QueryOptions &options = {}) const {
        return match_to(match, path, options);
    }
    template <class P = Policy, detail::Returning<P> = true>
    [[nodiscard]] Of<Status> match_into(Match &match, PathRef path, const QueryOptions &options = {}) const {
        return match_to(match, path, options);
    }
    /// @}
    /// match() for many paths: one answer each, in order, each with its own status.
    [[nodiscard]] Of<Answers> match_paths(const Paths &paths, const QueryOptions &options = {}) const {
        return Call::template made<Answers>([&](auto &all, auto *error) { return fill(all, paths, options, error); });
    }
    /// match_paths() into an earlier result, whose memory is used again. After an error the result is empty.
    [[nodiscard]] Of<void> match_paths_into(Answers &answers, const Paths &paths,
                                            const QueryOptions &options = {}) const {
        return Call::run([&](auto *error) { return fill(answers, paths, options, error); });
    }
    /// Returns which show, season, artist, album or item a folder is. The answer's items(), files() and kind() say what
    /// is below it.
    [[nodiscard]] Of<Match> match_folder(PathRef folder, const QueryOptions &options = {}) const {
        return answer(plexindex_match_folder, folder.bytes(), options);
    }
    /// Returns the items with this GUID: `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or that of a legacy agent.
    [[nodiscard]] Of<Match> match_guid(std::string_view guid, const QueryOptions &options = {}) const {
        return answer(plexindex_match_guid, guid, options);
    }
    /// Returns the items with this title. Case, accents and punctuation do not count.
    [[nodiscard]] Of<Match> search_title(std::string_view title, const QueryOptions &options = {}) const {
        return answer(plexindex_search_title, title, options);
    }

    /// Records that the item with this key has this path. It is stored when the call returns, and answers first. The server
    /// is asked only for a library that the store does not know yet: the error Status::timeout says that the deadline, as
    /// QueryOptions::deadline, passed first, and nothing is recorded.
    [[nodiscard]] Of<void> record_match(PathRef path, std::string_view key,
                                        std::optional<milliseconds> deadline = {}) const {
        return Call::run(plexindex_record_match, library_.get(), path.bytes(), key, detail::deadline_ms(deadline));
    }
    /// record_match() for many in one transaction: all are recorded, or none. The keys are in the order of the paths.
    /// `through`: PLEXINDEX_RECORD_THROUGH, for hosts that share.
    [[nodiscard]] Of<void> record_matches(const Paths &paths, const Paths &keys,
                                          std::optional<milliseconds> deadline = {}, bool through = false) const {
        return Call::run([&](auto *error) {
            for (const Paths *texts : {&paths, &keys}) {
                if (texts->check(error) != PLEXINDEX_OK) return std::int32_t{PLEXINDEX_INVALID_ARGUMENT};
            }
            return detail::call(plexindex_record_matches, library_.get(), paths.text(), keys.text(), paths.size(),
                                detail::when(through, PLEXINDEX_RECORD_THROUGH), detail::deadline_ms(deadline), error);
        });
    }
    /// Invalidates a path: its item is verified before it is answered again.
    [[nodiscard]] Of<void> invalidate_path(PathRef path) const {
        return Call::run(plexindex_invalidate_path, library_.get(), path.bytes());
    }
    /// Invalidates all paths of an item, by its key or rating key. Call it when the server answers 404.
    [[nodiscard]] Of<void> invalidate_item(std::string_view key) const {
        return Call::run(plexindex_invalidate_item, library_.get(), key);
    }
    /// Invalidates the library, or all: the next call that may ask the server fetches a full listing.
    [[nodiscard]] Of<void> invalidate() const { return Call::run(plexindex_invalidate_library, library_.get()); }
    /// Brings the library, or all, up to date now. Returns Status::ok; Status::not_yet or Status::needs_warm when the
    /// deadline came first. If no library was known either, that is the error Status::timeout.
    /// @{
    template <class P = Policy, detail::Throwing<P> = true>
    Of<Status> refresh(RefreshMode mode = RefreshMode::if_due, const QueryOptions &options = {}) const {
        return refresh_now(mode, options);
    }
    template <class P = Policy, detail::Returning<P> = true>
    [[nodiscard]] Of<Status> refresh(RefreshMode mode = RefreshMode::if_due,
                                     const QueryOptions &options = {}) const {
        return refresh_now(mode, options);
    }
    /// @}

    /// Returns a page of what was added, removed, changed and moved since a cursor was given. Without a cursor the page
    /// is empty and its cursor is that of now. Sends no request: refresh() does. The error Status::list_again says that
    /// the changes are not known any more: begin again with ChangesOptions::full.
    [[nodiscard]] Of<ChangesPage> list_changes(std::string_view cursor = {}, const ChangesOptions &options = {}) const {
        detail::Query query(library_.get(), cursor, {}, detail::when(options.full, PLEXINDEX_QUERY_FULL));
        return Call::template json<ChangesPage>(plexindex_list_changes, library_.index(), query, options.limit);
    }
    /// Waits until list_changes() has something, or the server has to be asked: Status::ok, then call refresh() and
    /// list_changes(). Status::not_yet says that the deadline came first. `options.progress` is called every 200 ms and
    /// by Index::wake_waiting(), and ends the wait (the error Status::aborted).
    /// @{
    template <class P = Policy, detail::Throwing<P> = true>
    Of<Status> wait_for_changes(std::string_view cursor, const QueryOptions &options = {}) const {
        return wait(cursor, options);
    }
    template <class P = Policy, detail::Returning<P> = true>
    [[nodiscard]] Of<Status> wait_for_changes(std::string_view cursor, const QueryOptions &options = {}) const {
        return wait(cursor, options);
    }
    /// @}

    /// Returns one item with all its files, as the store has it; nothing when no listing holds it. Sends no request.
    [[nodiscard]] Of<std::optional<ItemDetails>> item(std::string_view key) const {
        return Call::template json<std::optional<ItemDetails>>(plexindex_get_item_json, library_.get(), key);
    }
    /// Returns a stream of the items of one library as the store has them, which reads so many at a time, 1 to 10,000.
    /// Sends no request. The error of the stream is Status::not_fetched for a library that was never fetched, or
    /// whose listing was removed for Options::size_limit.
    [[nodiscard]] Items list_items(std::size_t page = 1000) const {
        auto next = [library = library_, at = std::int64_t{0}, page](auto, auto *to, auto *error) mutable {
            return plexindex_list_items(library.get(), &at, page, to, error);
        };
        return Items(detail::ItemPages(std::move(next)));
    }
    /// Returns a stream of the items with files below a folder, in the order of their paths, once for each file. Errors
    /// are those of list_items().
    [[nodiscard]] Items list_items_below(PathRef folder, std::size_t page = 1000) const {
        return list(plexindex_list_items_below, folder, page);
    }
    /// Returns a stream of those of list_items_below() whose files are missing on this machine. With `all` it also has
    /// files that could not be looked for (Item::is_file_unknown()), and some files that exist: those of an item with
    /// several files, and the last file of each page.
    [[nodiscard]] Items list_items_not_on_disk(PathRef folder, std::size_t page = 1000, bool all = false) const {
        return list(plexindex_list_items_not_on_disk, folder, page, !all);
    }
    /// Walks folders of this machine, given with their full paths, and all below them. Returns a stream of what is not
    /// listed without a doubt. Sends no request. Reading on takes some 200 ms at most, on three threads more.
    [[nodiscard]] Walk walk(const Paths &folders, WalkOptions options = {}) const {
        return Walk(detail::Walker(library_, folders, std::move(options)));
    }
    /// Gives many items of this library the same values. `report` is filled in also when the call fails.
    [[nodiscard]] Of<void> edit_items(const Edit &edit, EditReport *report = nullptr) const {
        static_assert(sizeof(EditReport::State) == 1, "as C has it");
        EditReport made;
        made.states.resize(edit.keys_.size(), EditReport::State::no);
        plexindex_edit raw{};
        raw.size = sizeof raw;
        raw.library = library_.get();
        raw.keys = detail::bytes(edit.keys_.text());
        raw.keys_count = edit.keys_.size();
        raw.changes = detail::bytes(edit.changes_.text());
        raw.changes_count = edit.changes_.size() / 2;
        raw.deadline_ms = detail::deadline_ms(edit.deadline);
        raw.lock = static_cast<std::int32_t>(edit.lock);
        plexindex_edit_report raw_report{};
        raw_report.size = sizeof raw_report;
        raw_report.states = reinterpret_cast<std::uint8_t *>(made.states.data());
        raw_report.states_capacity = made.states.size();
        return Call::run([&](auto *error) {
            for (const Paths *texts : {&edit.keys_, &edit.changes_})
                if (texts->check(error) != PLEXINDEX_OK) return std::int32_t{PLEXINDEX_INVALID_ARGUMENT};
            const std::int32_t status = plexindex_edit_items(&raw, &raw_report, error);
            std::tie(made.done, made.failed, made.requests) =
                std::tie(raw_report.done, raw_report.failed, raw_report.requests);
            if (report != nullptr) *report = std::move(made);
            return status;
        });
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    [[nodiscard]] const plexindex_library_handle *native_handle() const noexcept { return library_.get(); }

private:
    friend Call;
    template <class> friend class BasicIndex;
    BasicLibrary() = default;

    // It belongs to the thread until its next fast lookup.
    const char *looked_up(const PathRef &path) const {
        return path.terminated([&](const char *text) { return plexindex_lookup_key(library_.get(), text); });
    }
    Items list(Listing read, PathRef folder, std::size_t page, bool only_missing = false) const {
        std::string below(folder.bytes());
        auto next = [library = library_, read, below = std::move(below), page](auto after, auto *to, auto *error) {
            return detail::call(read, library.get(), std::string_view(below), after, page, to, error);
        };
        return Items(detail::ItemPages(std::move(next), only_missing));
    }
    Of<Status> match_to(Match &match, PathRef path, const QueryOptions &options) const {
        return Call::status(
            [&](auto *error) { return fill(match, plexindex_match_path, path.bytes(), options, error); });
    }
    Of<Status> refresh_now(RefreshMode mode, const QueryOptions &options) const {
        detail::Query query(library_.get(), {}, options, static_cast<std::uint32_t>(mode));
        return Call::status(plexindex_refresh, library_.index(), query);
    }
    Of<Status> wait(std::string_view cursor, const QueryOptions &options) const {
        detail::Query query(library_.get(), cursor, options);
        return Call::status(plexindex_wait_for_changes, library_.index(), query);
    }
    Of<Match> answer(Answering function, std::string_view text, const QueryOptions &options) const {
        return Call::template made<Match>(
            [&](Match &to, auto *error) { return fill(to, function, text, options, error); });
    }
    std::int32_t fill(Match &match, Answering function, std::string_view text, const QueryOptions &options,
                      plexindex_buffer *error) const {
        detail::Block block = std::exchange(match, Match()).record_.block;
        detail::Query query(library_.get(), text, options);
        const std::int32_t status = block.fill(8 * 1024, [&](plexindex_buffer *buffer) {
            return detail::call(function, library_.index(), query, buffer, error);
        });
        match = Match(block);
        return status;
    }
    std::int32_t fill(Answers &answers, const Paths &paths, const QueryOptions &options,
                      plexindex_buffer *error) const {
        detail::Query query(library_.get(), paths.text(), options);
        // Enough for most answers: asking again costs more than memory that is not used.
        const std::size_t first = 4096 + paths.size() * 384 + paths.text().size() * 2;
        return answers.block_.fill(first, [&](plexindex_buffer *block) {
            if (paths.check(error) != PLEXINDEX_OK) return std::int32_t{PLEXINDEX_INVALID_ARGUMENT};
            return detail::call(plexindex_match_paths, library_.index(), query, paths.size(), block, error);
        });
    }
    std::int32_t fill(Keys &keys, const Paths &paths, plexindex_buffer *error) const {
        keys.keys_.clear(); // where memory for the new ones is short, those of the memory before are gone
        const std::int32_t status = keys.block_.fill(64 + paths.size() * 32, [&](plexindex_buffer *block) {
            if (paths.check(error) != PLEXINDEX_OK) return std::int32_t{PLEXINDEX_INVALID_ARGUMENT};
            return detail::call(plexindex_lookup_keys, library_.get(), paths.text(), paths.size(), block, error);
        });
        for (std::string_view all = keys.block_.text(); !all.empty();) keys.keys_.push_back(detail::take(all));
        return status;
    }

    detail::LibraryRef library_;
};

/// A table of the host's own values, or all tables; from Index::table(). It keeps the index open. A copy is the same
/// table.
template <class Policy> class BasicTable {
    using Call = detail::Caller<Policy>;

public:
    template <class T> using Of = typename Policy::template Of<T>; ///< `T`, or `Result<T>`.
    using Names = BasicStream<Policy, detail::TableNames>;         ///< A stream of std::string.

    /// The fast lookup. Returns a copy of the value of this name, where the index has it at hand. Nothing says that a
    /// fast lookup does not know: ask get(). It never fails.
    [[nodiscard]] std::optional<std::string> lookup(PathRef name) const { return detail::copy(looked_up(name)); }
    /// lookup() into a string, without an allocation where that is large enough. Returns whether the value is known;
    /// the string is empty otherwise.
    bool lookup_into(std::string &value, PathRef name) const { return detail::copy_to(value, looked_up(name)); }
    /// Returns the value of this name; nothing when there is none.
    [[nodiscard]] Of<std::optional<std::string>> get(std::string_view name) const {
        return Call::template made<std::optional<std::string>>([&](auto &value, auto *error) {
            const auto status = Call::text(value.emplace(), error, plexindex_table_get, table_.get(), name);
            if (status != PLEXINDEX_OK) value.reset();
            return status;
        });
    }
    /// get() into a string, whose memory is used again. Returns whether there is a value.
    /// @{
    template <class P = Policy, detail::Throwing<P> = true>
    Of<bool> get_into(std::string &value, std::string_view name) const {
        return get_to(value, name);
    }
    template <class P = Policy, detail::Returning<P> = true>
    [[nodiscard]] Of<bool> get_into(std::string &value, std::string_view name) const {
        return get_to(value, name);
    }
    /// @}
    /// Returns whether there is a value.
    [[nodiscard]] Of<bool> contains(std::string_view name) const {
        return Call::template made<bool>([&](bool &is_there, auto *error) {
            const auto status = plexindex_table_get(table_.get(), name.data(), name.size(), nullptr, error);
            return is_there = status == PLEXINDEX_OK, status;
        });
    }
    /// Stores a value. It replaces the value of the same name, and is stored when the call returns.
    [[nodiscard]] Of<void> put(std::string_view name, std::string_view value, const PutOptions &options = {}) const {
        return Call::run(plexindex_table_put, table_.get(), name, value, options.ttl.count(), options.limit);
    }
    /// Removes an entry. One that does not exist is no error.
    [[nodiscard]] Of<void> remove(std::string_view name) const {
        return Call::run(plexindex_table_remove, table_.get(), name);
    }
    /// Returns a stream of the entries' names, in the order of their bytes.
    [[nodiscard]] Names names() const { return Names(detail::TableNames(table_)); }
    /// Returns how many entries there are, in all tables if this is all of them.
    [[nodiscard]] Of<std::uint64_t> count() const {
        return Call::template made<std::uint64_t>([&](std::uint64_t &count, auto *error) {
            return plexindex_table_count(table_.get(), &count, error);
        });
    }
    /// Removes all entries.
    [[nodiscard]] Of<void> clear() const { return Call::run(plexindex_table_clear, table_.get()); }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    [[nodiscard]] const plexindex_table_handle *native_handle() const noexcept { return table_.get(); }

private:
    friend Call;
    friend class WriteBatch;
    template <class> friend class BasicIndex;
    BasicTable() = default;

    // It belongs to the thread until its next fast lookup.
    const char *looked_up(const PathRef &name) const {
        return name.terminated([&](const char *text) {
            const char *value = nullptr;
            plexindex_table_lookup(table_.get(), text, &value);
            return value;
        });
    }
    Of<bool> get_to(std::string &value, std::string_view name) const {
        return Call::template made<bool>([&](bool &is_there, auto *error) {
            // The name may be in the string.
            const std::less_equal<const char *> before;
            const char *const at = name.data();
            const bool is_inside = before(value.data(), at) && before(at, value.data() + value.size());
            const std::string copy(is_inside ? name : std::string_view());
            const auto status =
                Call::text(value, error, plexindex_table_get, table_.get(), is_inside ? std::string_view(copy) : name);
            return is_there = status == PLEXINDEX_OK, status;
        });
    }

    detail::TableRef table_;
};

/// Changes of tables that Index::write() makes in one transaction. It keeps copies of names and values.
class WriteBatch {
public:
    /// Stores a value.
    template <class Policy>
    WriteBatch &put(const BasicTable<Policy> &table, std::string_view name, std::string_view value) {
        return add(PLEXINDEX_TABLE_PUT, table.table_, name, value);
    }
    /// Removes an entry.
    template <class Policy> WriteBatch &remove(const BasicTable<Policy> &table, std::string_view name) {
        return add(PLEXINDEX_TABLE_REMOVE, table.table_, name, {});
    }
    /// Removes all entries of a table.
    template <class Policy> WriteBatch &clear(const BasicTable<Policy> &table) {
        return add(PLEXINDEX_TABLE_CLEAR, table.table_, {}, {});
    }

private:
    template <class> friend class BasicIndex;
    struct Change {
        std::int32_t kind;
        detail::TableRef table;
        std::string name, value;
    };
    WriteBatch &add(std::int32_t kind, const detail::TableRef &table, std::string_view name, std::string_view value) {
        changes_.push_back(Change{kind, table, std::string(name), std::string(value)});
        return *this;
    }

    std::vector<Change> changes_;
};

/// An open index. It is closed when it and all its libraries, tables and streams are gone, or by close(). Move-only.
template <class Policy> class BasicIndex {
    using Call = detail::Caller<Policy>;

public:
    template <class T> using Of = typename Policy::template Of<T>; ///< `T`, or `Result<T>`.
    using Library = BasicLibrary<Policy>;                          ///< A library of it.
    using Table = BasicTable<Policy>;                              ///< A table of it.

    /// Opens an index. Reads the disk only and sends no request. Several handles and processes may open the same
    /// folder.
    [[nodiscard]] static Of<BasicIndex> open(const Options &options) {
        if (plexindex_get_abi_version() != PLEXINDEX_ABI_VERSION) {
            return Policy::template failed<BasicIndex>(
                Error(Status::unsupported, "the plexindex library has another ABI version than the header that this "
                                           "program was compiled with: install matching versions"));
        }
        if (options.deadline.count() < 0) { // C takes -1 for no deadline
            return Policy::template failed<BasicIndex>(
                Error(Status::invalid_argument, "Options::deadline is " + std::to_string(options.deadline.count()) +
                                                    " ms: give a positive time, or plexindex::no_deadline"));
        }
        std::vector<plexindex_mapping> mappings;
        for (const auto &[from, to, kind] : options.mappings) {
            mappings.push_back({static_cast<std::int32_t>(kind), 0, detail::bytes(from), detail::bytes(to)});
        }
        plexindex_options raw = plexindex_options_init();
        const std::string &cache_dir = detail::native(options.cache_dir), &ca_file = detail::native(options.ca_file),
                          &database = detail::native(options.database);
        raw.cache_dir = detail::bytes(cache_dir);
        raw.server_url = detail::bytes(options.server_url);
        raw.token = detail::bytes(options.token);
        raw.user = detail::bytes(options.user);
        raw.ca_file = detail::bytes(ca_file);
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
        raw.database = detail::bytes(database);
        raw.shared = detail::bytes(options.shared);
        raw.shared_retry_ms = options.shared_retry.count();
        return Call::template made<BasicIndex>([&](BasicIndex &index, auto *error) {
            index.opened_ = std::make_shared<detail::Opened>();
            if (options.renew_token) {
                index.opened_->renew_token = options.renew_token;
                raw.renew_token = detail::renew_token;
                raw.renew_token_user = index.opened_.get();
            }
            return plexindex_open(&raw, &index.opened_->handle, error);
        });
    }
    /// Closes the index; fails when its counters could not be written. No other call may be under way with it, its
    /// libraries, tables or streams: within a callback of the index it is refused (Status::invalid_argument). Later calls
    /// fail with Status::null_pointer.
    [[nodiscard]] Of<void> close() {
        if (opened_ == nullptr) return Of<void>();
        return Call::run([&](auto *error) {
            const std::int32_t status = plexindex_close(opened_->handle, error);
            if (status != PLEXINDEX_INVALID_ARGUMENT) opened_->handle = nullptr;
            return status;
        });
    }
    /// Returns whether it is open: neither closed nor moved from.
    [[nodiscard]] bool is_open() const noexcept { return native_handle() != nullptr; }

    /// Returns the library with this title, section id or uuid. Sends no request. A library that the store does not
    /// know is no error yet: the first call that uses it asks the server.
    [[nodiscard]] Of<Library> library(std::string_view name, Selector by = Selector::any) const {
        return Call::template made<Library>([&](Library &to, auto *error) {
            to.library_.opened = opened_;
            const auto kind = static_cast<std::int32_t>(by);
            return detail::call(plexindex_get_library, native_handle(), kind, name, &to.library_.handle, error);
        });
    }
    /// Returns all libraries as one.
    [[nodiscard]] Of<Library> all_libraries() const { return library({}, Selector::all); }
    /// Returns a table of the host's own values. The first put() makes it.
    [[nodiscard]] Of<Table> table(std::string_view name, const TableOptions &options = {}) const {
        // An empty name is a name: NULL would be all tables.
        const std::uint32_t flags = detail::when(options.fold_ascii, PLEXINDEX_TABLE_FOLD_ASCII);
        return table_of(name.data() == nullptr ? "" : name, flags);
    }
    /// Returns all tables, to count or to clear.
    [[nodiscard]] Of<Table> all_tables() const { return table_of({}, 0); }
    /// Makes many changes of tables in one transaction, in order: all are made, or none.
    [[nodiscard]] Of<void> write(const WriteBatch &batch, const PutOptions &options = {}) const {
        std::vector<plexindex_table_op> ops;
        for (const auto &[kind, table, name, value] : batch.changes_) {
            ops.push_back({kind, 0, table.get(), detail::bytes(name), detail::bytes(value)});
        }
        return Call::run(plexindex_table_write, native_handle(), ops.data(), ops.size(), options.ttl.count(),
                         options.limit);
    }

    /// Replaces the token; an empty one is none. Sends no request. Without Options::user the index is as if empty
    /// until a call has found that the server accepts this token.
    [[nodiscard]] Of<void> set_token(std::string_view token) const {
        return Call::run(plexindex_set_token, native_handle(), token);
    }
    /// Makes each Library::wait_for_changes() that is under way call its progress function now. Any thread may call it.
    [[nodiscard]] Of<void> wake_waiting() const { return Call::run(plexindex_wake_waiting, native_handle()); }
    /// Removes all that the store holds of this server and user.
    [[nodiscard]] Of<void> clear() const { return Call::run(plexindex_clear, native_handle()); }
    /// Begins to listen to the server's events, on a thread of the library's own.
    [[nodiscard]] Of<void> watch_start() const { return Call::run(plexindex_watch_start, native_handle()); }
    /// Ends what watch_start() began. The thread has ended when the call returns.
    [[nodiscard]] Of<void> watch_stop() const { return Call::run(plexindex_watch_stop, native_handle()); }
    /// Tells the index of an event that the host received itself, such as a webhook's body.
    [[nodiscard]] Of<void> notify(std::string_view body) const {
        return Call::run(plexindex_notify, native_handle(), body);
    }

    /// Returns what happened.
    [[nodiscard]] Of<Statistics> stats() const {
        return Call::template made<Statistics>([&](Statistics &to, auto *error) {
            to.size = sizeof(plexindex_stats);
            return plexindex_get_stats(native_handle(), &to, error);
        });
    }
    /// Returns the libraries. A request is sent only when none is known and the options allow it.
    [[nodiscard]] Of<std::vector<LibraryInfo>> list_libraries(const QueryOptions &options = {}) const {
        detail::Query query(nullptr, {}, options);
        return Call::template json<std::vector<LibraryInfo>>(plexindex_list_libraries_json, native_handle(), query);
    }
    /// Asks the server who it is, with two or three requests. For finding out what is wrong.
    [[nodiscard]] Of<ServerInfo> check_server(const QueryOptions &options = {}) const {
        detail::Query query(nullptr, {}, options);
        return Call::template json<ServerInfo>(plexindex_check_server_json, native_handle(), query);
    }
    /// Returns what kind of place the store is in.
    [[nodiscard]] Of<StoreInfo> store() const {
        return Call::template json<StoreInfo>(plexindex_get_store_json, native_handle());
    }
    /// Looks at the log that Options::shared names, prepares it, empties it or exchanges news, and returns how it is then;
    /// after deliver, follow and unfollow only the address and what this folder has taken and not delivered. Without the
    /// option there is nothing to look at, and the other actions fail (Status::invalid_argument).
    [[nodiscard]] Of<std::optional<SharedStatus>> shared(SharedAction action = SharedAction::status) const {
        return Call::template json<std::optional<SharedStatus>>(plexindex_shared, native_handle(),
                                                                static_cast<std::int32_t>(action));
    }
    /// Returns mappings that seem to be missing, the best first; with paths those that would have these listed.
    [[nodiscard]] Of<std::vector<MappingProposal>> propose_mappings(const Paths &paths = {}) const {
        return Call::template json<std::vector<MappingProposal>>(plexindex_propose_mappings_json, native_handle(),
                                                                 paths.text(), paths.size());
    }
    /// Returns a path of the server as this machine has it, by the mappings; without one the path stays as it is.
    [[nodiscard]] Of<std::string> map_to_host(PathRef path) const {
        return Call::template made<std::string>([&](std::string &host, auto *error) {
            return Call::text(host, error, plexindex_map_to_host, native_handle(), path.bytes());
        });
    }

    /// Compares one path with others, as an index does, and needs none. Returns one relation for each.
    [[nodiscard]] static Of<std::vector<PathRelation>> compare_paths(PathRef path, const Paths &others) {
        return Call::template made<std::vector<PathRelation>>([&](auto &relations, auto *error) {
            if (others.check(error) != PLEXINDEX_OK) return std::int32_t{PLEXINDEX_INVALID_ARGUMENT};
            std::vector<std::uint32_t> all(others.size() + 1); // one more, so that there is always a first
            const std::int32_t status =
                detail::call(plexindex_compare_paths, path.bytes(), others.text(), others.size(), all.data(), error);
            for (std::size_t i = 0; i < others.size(); ++i) {
                relations.push_back({(all[i] & PLEXINDEX_PATHS_EQUAL) != 0, (all[i] & PLEXINDEX_PATHS_UNDER) != 0,
                                     all[i] & PLEXINDEX_PATHS_COMMON});
            }
            return status;
        });
    }

    /// Returns the handle for functions of C, valid until the index is closed; NULL once it is.
    [[nodiscard]] plexindex_handle *native_handle() const noexcept { return opened_ ? opened_->handle : nullptr; }

    /// @cond
    BasicIndex(BasicIndex &&) noexcept = default;
    BasicIndex &operator=(BasicIndex &&) noexcept = default;
    BasicIndex(const BasicIndex &) = delete;
    BasicIndex &operator=(const BasicIndex &) = delete;
    ~BasicIndex() = default;
    /// @endcond

private:
    friend Call;
    BasicIndex() = default;

    Of<Table> table_of(std::string_view name, std::uint32_t flags) const {
        return Call::template made<Table>([&](Table &to, auto *error) {
            to.table_.opened = opened_;
            return detail::call(plexindex_get_table, native_handle(), name, flags, &to.table_.handle, error);
        });
    }

    std::shared_ptr<detail::Opened> opened_;
};

/// Hands the log lines that wait to `function(LogLevel, std::string_view)`, oldest first, on this thread. An exception
/// is thrown on when all lines are taken; the lines behind it are lost. Any thread may call it.
template <class Function> void drain_log(const Function &function) {
    using Lines = detail::Callback<Function>;
    Lines lines(function);
    plexindex_drain_log(
        [](void *user, std::int32_t level, const char *message, std::size_t length) {
            (*static_cast<Lines *>(user))(static_cast<LogLevel>(level), std::string_view(message, length));
        },
        &lines, nullptr);
    lines.rethrow();
}

#if defined(__cpp_exceptions) || defined(DOXYGEN)
using Index = BasicIndex<detail::Throws>;     ///< An open index. Errors are thrown.
using Library = BasicLibrary<detail::Throws>; ///< A library of it.
using Table = BasicTable<detail::Throws>;     ///< A table of it.
#endif

/// The same, where each call that can fail returns a plexindex::Result.
namespace results {
using Index = BasicIndex<detail::Returns>;     ///< An open index. Errors are values.
using Library = BasicLibrary<detail::Returns>; ///< A library of it.
using Table = BasicTable<detail::Returns>;     ///< A table of it.
} // namespace results

#if !defined(DOXYGEN)
} // inline namespace
#if !defined(__cpp_exceptions)
} // inline namespace
#endif
#endif
} // namespace plexindex

#if defined(__cpp_lib_ranges)
/// @cond
template <> inline constexpr bool std::ranges::enable_borrowed_range<plexindex::Answers> = true;
template <> inline constexpr bool std::ranges::enable_borrowed_range<plexindex::Candidates> = true;
template <> inline constexpr bool std::ranges::enable_view<plexindex::Candidates> = true;
/// @endcond
#endif

#endif // PLEXINDEX_HPP

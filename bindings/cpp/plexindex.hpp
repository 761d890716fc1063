/// @file
/// plexindex for C++17 and newer: which Plex item is this file? Header only, over `plexindex.h`.
///
/// - **Start** at plexindex::Index::open(), then Index::library(), then Library::match().
/// - **Errors** are exceptions (plexindex::Error), or values: the classes of the namespace plexindex::results are the
///   same, and give a plexindex::Result: in these pages `Of<T>` is `T`, or Result<T>. Each error has the text of its own
///   call, on any thread.
/// - **Threads**: any number of threads may use one Index, Library or Table at once, as `const`. A result belongs to one
///   thread at a time.
/// - **Lifetimes**: a Library or a Table keeps its index open. Results own their memory, and outlive the index. An Answer,
///   an Item and every text of theirs are views: they are valid while their Match or Block is, moved or not, and is not
///   filled anew. What is moved from is empty, and may be used as such.
/// - **Memory**: a call allocates what it gives back. `match_into()` and the like use the memory of an earlier result.
///   std::bad_alloc may come from whatever allocates, also in plexindex::results.
/// - **Paths** are the file system's bytes: text or a std::filesystem::path.
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
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__GLIBCXX__) && defined(__cpp_exceptions)
#include <cxxabi.h>
#endif
#if defined(__cpp_lib_ranges)
#include <ranges>
#endif

/// Which Plex item is this file?
namespace plexindex {

using std::chrono::milliseconds;

/// The outcome of a call, or of one answer: `plexindex_status`.
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
    list_again = PLEXINDEX_LIST_AGAIN,
    library_not_found = PLEXINDEX_LIBRARY_NOT_FOUND,
    library_ambiguous = PLEXINDEX_LIBRARY_AMBIGUOUS,
};

/// Whether a status is an error, and no answer.
[[nodiscard]] constexpr bool is_error(Status status) noexcept { return static_cast<std::int32_t>(status) >= 100; }

/// How an item was found: `PLEXINDEX_RUNG_*`.
enum class Rung : std::uint8_t {
    none = PLEXINDEX_RUNG_NONE,
    confirmed = PLEXINDEX_RUNG_CONFIRMED,
    exact = PLEXINDEX_RUNG_EXACT,
    mapped = PLEXINDEX_RUNG_MAPPED,
    suffix = PLEXINDEX_RUNG_SUFFIX,
    file_name = PLEXINDEX_RUNG_FILE_NAME,
};

/// How sure an answer is: `PLEXINDEX_CONFIDENCE_*`. A host writes to items of high confidence only.
enum class Confidence : std::uint8_t {
    none = PLEXINDEX_CONFIDENCE_NONE,
    low = PLEXINDEX_CONFIDENCE_LOW,
    high = PLEXINDEX_CONFIDENCE_HIGH,
};

/// Why there is no single item, or what speaks for it or against it: `PLEXINDEX_REASON_*`.
enum class Reason : std::uint8_t {
    none = PLEXINDEX_REASON_NONE,
    no_location = PLEXINDEX_REASON_NO_LOCATION,
    not_listed = PLEXINDEX_REASON_NOT_LISTED,
    not_fetched = PLEXINDEX_REASON_NOT_FETCHED,
    several_items = PLEXINDEX_REASON_SEVERAL_ITEMS,
    several_libraries = PLEXINDEX_REASON_SEVERAL_LIBRARIES,
    unconfirmed = PLEXINDEX_REASON_UNCONFIRMED,
    only_root_differs = PLEXINDEX_REASON_ONLY_ROOT_DIFFERS,
    path_tells = PLEXINDEX_REASON_PATH_TELLS,
    no_evidence = PLEXINDEX_REASON_NO_EVIDENCE,
    contradicted = PLEXINDEX_REASON_CONTRADICTED,
    several_episodes = PLEXINDEX_REASON_SEVERAL_EPISODES,
    empty = PLEXINDEX_REASON_EMPTY,
    above_locations = PLEXINDEX_REASON_ABOVE_LOCATIONS,
    unavailable = PLEXINDEX_REASON_UNAVAILABLE,
};

/// What the name of a library is: `PLEXINDEX_SELECT_*`.
enum class Select : std::int32_t {
    any = PLEXINDEX_SELECT_ANY,
    title = PLEXINDEX_SELECT_TITLE,
    section = PLEXINDEX_SELECT_SECTION,
    uuid = PLEXINDEX_SELECT_UUID,
    all = PLEXINDEX_SELECT_ALL,
};

/// What a server leaves out when it scans a folder, for Library::walk(): a bit each.
namespace rule {
/// Files that do not end as media of the library's kind do.
constexpr std::uint32_t extension = PLEXINDEX_RULE_EXTENSION;
/// Names that begin with a dot.
constexpr std::uint32_t hidden = PLEXINDEX_RULE_HIDDEN;
/// Folders of systems and programs.
constexpr std::uint32_t system = PLEXINDEX_RULE_SYSTEM;
/// Folders that are being unpacked.
constexpr std::uint32_t unpacking = PLEXINDEX_RULE_UNPACKING;
/// Files without a byte, or that cannot be read.
constexpr std::uint32_t empty = PLEXINDEX_RULE_EMPTY;
/// Samples of videos.
constexpr std::uint32_t samples = PLEXINDEX_RULE_SAMPLES;
/// Trailers and the like.
constexpr std::uint32_t extras = PLEXINDEX_RULE_EXTRAS;
/// Folders of discs.
constexpr std::uint32_t discs = PLEXINDEX_RULE_DISCS;
/// What a file .plexignore names.
constexpr std::uint32_t plexignore = PLEXINDEX_RULE_PLEXIGNORE;
/// All of them.
constexpr std::uint32_t all = extension | hidden | system | unpacking | empty | samples | extras | discs | plexignore;
} // namespace rule

/// A level of log lines: `PLEXINDEX_LOG_*`.
enum class LogLevel : std::int32_t {
    off = PLEXINDEX_LOG_OFF,
    usual = 0, ///< Warnings and errors; in options only.
    error = PLEXINDEX_LOG_ERROR,
    warn = PLEXINDEX_LOG_WARN,
    info = PLEXINDEX_LOG_INFO,
    debug = PLEXINDEX_LOG_DEBUG,
};

/// Options::library_ttl, and the `ttl` of tables: never fresh.
inline constexpr milliseconds ttl_at_once{PLEXINDEX_TTL_AT_ONCE};
/// Options::library_ttl, and the `ttl` of tables: fresh until it is invalidated.
inline constexpr milliseconds ttl_never{PLEXINDEX_TTL_NEVER};
/// Options::retry_for: a request that failed is not tried again.
inline constexpr milliseconds no_retry{PLEXINDEX_NO_RETRY};
/// Options::slow: no call is slow.
inline constexpr milliseconds never_slow{PLEXINDEX_NEVER_SLOW};

/// What happened: `plexindex_statistics`.
using Statistics = plexindex_statistics;

/// The version of the library that runs, such as `0.1.0`.
[[nodiscard]] inline const char *version() noexcept { return plexindex_version(); }

/// The ABI version of the library that runs. Index::open() compares it with that of the header.
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return plexindex_abi_version(); }

/// The name of a status, such as `NOT_FOUND`.
[[nodiscard]] inline const char *status_name(Status status) noexcept {
    return plexindex_status_name(static_cast<std::int32_t>(status));
}

/// The text of this thread's last error. Error::what() is that of its own call.
[[nodiscard]] inline const char *last_error_message() noexcept { return plexindex_last_error_message(); }

/// What went wrong. what() names the input and the remedy.
class Error : public std::runtime_error {
public:
    /// Of this status, with this text.
    Error(Status status, const char *text) : std::runtime_error(text), status_(status) {}

    /// Which error it is.
    [[nodiscard]] Status status() const noexcept { return status_; }

private:
    Status status_;
};

/// A value, or the error that came instead. What std::expected is in C++23.
template <class T> class [[nodiscard]] Result {
public:
    /// A value.
    /*implicit*/ Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    /// An error.
    /*implicit*/ Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    /// Whether there is a value.
    [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
    /// The same. A Result<bool> has none: which of the two would be asked?
    template <class U = T, class = std::enable_if_t<!std::is_same_v<U, bool>>> explicit operator bool() const noexcept {
        return has_value();
    }

    /// The value. Ask has_value() before: without one this throws std::bad_variant_access, or ends the program where there
    /// are no exceptions.
    /// @{
    [[nodiscard]] T &value() & { return std::get<0>(held_); }
    [[nodiscard]] const T &value() const & { return std::get<0>(held_); }
    [[nodiscard]] T value() && { return std::get<0>(std::move(held_)); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T *operator->() & { return &value(); }
    const T *operator->() const & { return &value(); }
    /// @}

    /// The error. Only where there is no value.
    [[nodiscard]] const Error &error() const & { return std::get<1>(held_); }

private:
    std::variant<T, Error> held_;
};

/// Success, or the error that came instead.
template <> class [[nodiscard]] Result<void> {
public:
    Result() = default;
    /// An error.
    /*implicit*/ Result(Error error) : error_(std::move(error)) {}

    /// Whether the call succeeded.
    /// @{
    [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// @}

    /// The error. Only where there is one.
    [[nodiscard]] const Error &error() const & { return error_.value(); }

private:
    std::optional<Error> error_;
};

/// @cond
namespace detail {

/// Errors are thrown.
struct Throws {
    template <class T> using Of = T;
    template <class T> [[noreturn]] static T failed(Error error) {
#if defined(__cpp_exceptions)
        throw error;
#else
        static_cast<void>(error);
        std::terminate();
#endif
    }
};

/// Errors are values.
struct Returns {
    template <class T> using Of = Result<T>;
    template <class T> static Result<T> failed(Error error) { return Result<T>(std::move(error)); }
};

/// Room for the text of one call's error, on the stack.
class Failure {
public:
    Failure() noexcept : buffer_{text_, sizeof text_, 0} { text_[0] = '\0'; }
    Failure(const Failure &) = delete;
    Failure &operator=(const Failure &) = delete;

    plexindex_buffer *buffer() noexcept { return &buffer_; }
    [[nodiscard]] Error error(std::int32_t status) const {
        // No other NULL is handed to a call from here.
        if (status == PLEXINDEX_NULL_POINTER) {
            return {Status::null_pointer, (std::string("the index is closed, or this was moved from: ") + text_).c_str()};
        }
        return {static_cast<Status>(status), text_};
    }

private:
    char text_[2048];
    plexindex_buffer buffer_;
};

inline constexpr std::int32_t first_error = 100;

inline plexindex_bytes bytes(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// Memory for a call's answer, aligned as malloc's. It grows, and is used again.
class Memory {
public:
    Memory() noexcept : buffer_{nullptr, 0, 0} {}
    Memory(Memory &&other) noexcept
        : words_(std::move(other.words_)), buffer_(std::exchange(other.buffer_, plexindex_buffer{nullptr, 0, 0})) {}
    Memory &operator=(Memory &&other) noexcept {
        if (this != &other) {
            words_ = std::move(other.words_);
            buffer_ = std::exchange(other.buffer_, plexindex_buffer{nullptr, 0, 0});
        }
        return *this;
    }

    /// Calls until the memory is large enough. After an error it holds nothing.
    template <class Call> std::int32_t fill(std::size_t first, Call call) {
        buffer_.length = 0;
        reserve(first);
        std::int32_t status = call(&buffer_);
        while (status == PLEXINDEX_BUFFER_TOO_SMALL && buffer_.length > buffer_.capacity) {
            reserve(buffer_.length);
            status = call(&buffer_);
        }
        if (status >= first_error) buffer_.length = 0;
        return status;
    }

    [[nodiscard]] const plexindex_buffer &buffer() const noexcept { return buffer_; }

private:
    void reserve(std::size_t size) {
        if (size <= buffer_.capacity) return;
        const std::size_t count = size / sizeof(std::uint64_t) + 1;
        buffer_ = {nullptr, 0, 0};
        words_.reset();
        words_.reset(new std::uint64_t[count]); // not set to zero, unlike std::make_unique
        buffer_ = {words_.get(), count * sizeof(std::uint64_t), 0};
    }

    std::unique_ptr<std::uint64_t[]> words_;
    plexindex_buffer buffer_;
};

/// Iterates over what has `operator[]` and `size()`, and is cheap to copy. It holds a copy: the range may go before it.
template <class Range> class Iterator {
public:
    using value_type = decltype(std::declval<const Range &>()[0]);
    using reference = value_type;
    using difference_type = std::ptrdiff_t;
    // Elements are made when they are asked for: by the rules of C++17 no more than this.
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::random_access_iterator_tag;
    struct pointer {
        value_type value;
        const value_type *operator->() const noexcept { return &value; }
    };

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

/// An open handle, which the index and its libraries and tables share.
struct Opened {
    plexindex_handle *handle = nullptr;
    std::function<std::string()> renew_token;

    Opened() = default;
    Opened(const Opened &) = delete;
    Opened &operator=(const Opened &) = delete;
    ~Opened() { plexindex_close(handle, nullptr); }
};

/// plexindex_renew_token_fn: the host's function, called through C, which nothing may be thrown through.
inline std::int32_t renew_token(void *user, plexindex_buffer *token) {
#if defined(__cpp_exceptions)
    try {
#endif
        const std::string given = static_cast<const Opened *>(user)->renew_token();
        if (given.empty() || given.size() > token->capacity) return 1;
        std::memcpy(token->data, given.data(), given.size());
        token->length = given.size();
        return 0;
#if defined(__cpp_exceptions)
#if defined(__GLIBCXX__)
    } catch (abi::__forced_unwind &) {
        throw; // the end of the thread: no one may stop it
#endif
    } catch (...) {
        return 1;
    }
#endif
}

inline plexindex_handle *handle_of(const std::shared_ptr<Opened> &opened) noexcept {
    return opened == nullptr ? nullptr : opened->handle;
}

} // namespace detail
/// @endcond

/// A path, or the name of a table's entry, given to a call: text, or a std::filesystem::path. It is read during the call.
class PathRef {
public:
    /// Of text. NULL is an empty path, which calls refuse.
    /*implicit*/ PathRef(const char *text) noexcept
        : bytes_(text == nullptr ? std::string_view() : std::string_view(text)), ends_(text != nullptr) {}
    /// Of text.
    /*implicit*/ PathRef(const std::string &text) noexcept : bytes_(text), ends_(true) {}
    /// Of text.
    /*implicit*/ PathRef(std::string_view text) noexcept : bytes_(text), ends_(false) {}
    /// Of a path, as the file system has it.
    /*implicit*/ PathRef(const std::filesystem::path &path) noexcept : bytes_(path.native()), ends_(true) {}
    PathRef(std::nullptr_t) = delete;

    /// Its bytes.
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }

    /// @cond
    /// Calls with the bytes followed by a NUL: without an allocation up to 4,095 of them. NULL where they hold a NUL.
    template <class Call> const char *terminated(Call call) const {
        if (bytes_.find('\0') != std::string_view::npos) return nullptr;
        if (ends_) return call(bytes_.data());
        char room[4096];
        if (bytes_.size() >= sizeof room) return call(std::string(bytes_).c_str());
        if (!bytes_.empty()) std::memcpy(room, bytes_.data(), bytes_.size());
        room[bytes_.size()] = '\0';
        return call(static_cast<const char *>(room));
    }
    /// @endcond

private:
    std::string_view bytes_;
    bool ends_;
};

/// Many paths for one call. It may be cleared and filled again without an allocation.
class Paths {
public:
    /// @cond
    Paths() = default;
    Paths(const Paths &) = default;
    Paths &operator=(const Paths &) = default;
    Paths(Paths &&other) noexcept : text_(std::move(other.text_)), count_(other.count_) { other.clear(); }
    Paths &operator=(Paths &&other) noexcept {
        if (this != &other) {
            text_ = std::move(other.text_);
            count_ = other.count_;
            other.clear();
        }
        return *this;
    }
    ~Paths() = default;
    /// @endcond
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

    /// Adds a path. One that holds a NUL makes the call fail (Status::invalid_argument).
    void add(PathRef path) {
        text_.append(path.bytes());
        text_.push_back('\0');
        ++count_;
    }
    /// Forgets all of them, and keeps the memory.
    void clear() noexcept {
        text_.clear();
        count_ = 0;
    }
    /// How many paths.
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// The paths, each followed by a NUL.
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    std::string text_;
    std::size_t count_ = 0;
};

/// A rule between paths as the host sees them and as the server does: `plexindex_mapping`.
struct Mapping {
    /// The rule's direction, and what `from` is: `PLEXINDEX_MAPPING_*`.
    enum class Kind : std::int32_t {
        host_prefix = PLEXINDEX_MAPPING_HOST_PREFIX,
        host_pattern = PLEXINDEX_MAPPING_HOST_PATTERN,
        server_prefix = PLEXINDEX_MAPPING_SERVER_PREFIX,
        server_pattern = PLEXINDEX_MAPPING_SERVER_PATTERN,
    };
    /// A folder, or a pattern.
    std::string from;
    /// What replaces it.
    std::string to;
    /// The rule's direction, and what `from` is.
    Kind kind = Kind::host_prefix;
};

/// How to open an index: `plexindex_options`. A field that is not set has its default.
struct Options {
    /// The store's folder. Required; it is made.
    std::filesystem::path cache_dir{};
    /// The server's base URL. Without it the index answers from its store only.
    std::string server_url{};
    /// The token.
    std::string token{};
    /// Gives a new token, or an empty one, when the server refuses the one that there is: called on the thread of a call that was
    /// refused, which is then made again. One thread at a time is in it; other calls that need the token wait until their
    /// deadline, and for `read_timeout` at most. What it throws is as an empty one.
    std::function<std::string()> renew_token{};
    /// A name for the user whose view of the server this is. Default: the token.
    std::string user{};
    /// A PEM file with certificate authorities to trust besides the system's.
    std::filesystem::path ca_file{};
    /// For how long a listing is fresh: one hour; ttl_at_once, ttl_never.
    milliseconds library_ttl{0};
    /// When a full listing is due in any case: 24 hours.
    milliseconds max_age{0};
    /// The deadline of calls that name none: none.
    milliseconds deadline{0};
    /// How long making a connection may take: 5 s.
    milliseconds connect_timeout{0};
    /// How long the server may be silent: 60 s.
    milliseconds read_timeout{0};
    /// For how long a request is tried again: 30 s; no_retry.
    milliseconds retry_for{0};
    /// A call that takes so long is logged: 1 s; never_slow.
    milliseconds slow{0};
    /// How many bytes recorded matches may take: 50 MiB.
    std::uint64_t matches_limit = 0;
    /// How many bytes the folder may take: no limit.
    std::uint64_t size_limit = 0;
    /// Plex's own database on this machine, its folder, or the folder 'Plex Media Server': none. Alone it needs neither URL
    /// nor token.
    std::filesystem::path database{};
    /// How many rows of a listing are asked for at once: 1,000.
    std::uint32_t page_size = 0;
    /// Which log lines are kept for drain_log(): warnings and errors.
    LogLevel log_level = LogLevel::usual;
    /// No request is ever sent.
    bool offline = false;
    /// Any certificate is accepted.
    bool accept_invalid_certs = false;
    /// Index files are read into memory instead of mapped.
    bool no_mmap = false;
    /// Log lines, errors and reasons name media paths by a short hash.
    bool obfuscate_paths = false;
    /// Rules between the host's paths and the server's.
    std::vector<Mapping> mappings{};
};

/// How far a fetch has come: `plexindex_progress`.
struct Progress {
    /// The title of the library. Empty while the call waits for something else.
    std::string_view library;
    /// Items fetched so far.
    std::uint64_t items;
    /// Items in all; 0 when the server does not tell.
    std::uint64_t total;
    /// Since the call began to fetch.
    milliseconds elapsed;
};

/// How to ask.
struct Ask {
    /// How long the call may take. Less than 1 ms counts as 1 ms. Default: as the options say.
    std::optional<milliseconds> deadline{};
    /// The call takes as long as it takes, whatever the options say.
    bool no_deadline = false;
    /// The call sends no request.
    bool offline = false;
    /// match() of one path waits for nothing; where the answer needs that it is Status::not_yet.
    bool at_once = false;
    /// Called on this thread while the call waits for the server. `false` ends the call (Status::aborted). What it throws
    /// ends the call too, and is thrown by it.
    std::function<bool(const Progress &)> progress{};
};

/// An item of an answer: `plexindex_item`. A view, see the top of this file. A text that is not known is empty.
class Item {
public:
    /// @cond
    Item() noexcept = default;
    Item(const plexindex_buffer &block, const plexindex_item *record) noexcept : block_(block), record_(record) {}
    /// @endcond

    /// Plex's address of the item, `/library/metadata/<rating key>`.
    [[nodiscard]] std::string_view key() const noexcept { return text(&plexindex_item::key); }
    /// Plex's rating key.
    [[nodiscard]] std::string_view rating_key() const noexcept { return text(&plexindex_item::rating_key); }
    /// Title; for an episode the episode's.
    [[nodiscard]] std::string_view title() const noexcept { return text(&plexindex_item::title); }
    /// Scalar GUID.
    [[nodiscard]] std::string_view guid() const noexcept { return text(&plexindex_item::guid); }
    /// Title of the show, for a track or album of the artist.
    [[nodiscard]] std::string_view show_title() const noexcept { return text(&plexindex_item::show_title); }
    /// Rating key of the show or artist.
    [[nodiscard]] std::string_view show_rating_key() const noexcept { return text(&plexindex_item::show_rating_key); }
    /// Scalar GUID of the show or artist.
    [[nodiscard]] std::string_view show_guid() const noexcept { return text(&plexindex_item::show_guid); }
    /// The listed path that fits, as the server spells it.
    [[nodiscard]] std::string_view path() const noexcept { return text(&plexindex_item::path); }
    /// Section id of its library.
    [[nodiscard]] std::string_view section() const noexcept { return text(&plexindex_item::section); }
    /// Title of its library.
    [[nodiscard]] std::string_view library_title() const noexcept { return text(&plexindex_item::library_title); }
    /// Plex's number of the type: 1 movie, 4 episode, 10 track, 12 clip, 13 photo, 0 unknown.
    [[nodiscard]] int kind() const noexcept { return record_ == nullptr ? 0 : record_->kind; }
    /// Year.
    [[nodiscard]] std::optional<int> year() const noexcept {
        return record_ == nullptr || record_->year == 0 ? std::nullopt : std::optional<int>(record_->year);
    }
    /// Season, for a track the disc.
    [[nodiscard]] std::optional<int> season() const noexcept { return number(&plexindex_item::season); }
    /// Episode or track number.
    [[nodiscard]] std::optional<int> episode() const noexcept { return number(&plexindex_item::episode); }
    /// Whether path() is UTF-8.
    [[nodiscard]] bool path_is_utf8() const noexcept { return !flag(PLEXINDEX_ITEM_PATH_NOT_UTF8); }
    /// Whether only the key is known.
    [[nodiscard]] bool is_key_only() const noexcept { return flag(PLEXINDEX_ITEM_KEY_ONLY); }

private:
    std::string_view text(plexindex_text plexindex_item::*field) const noexcept {
        if (record_ == nullptr) return {};
        const char *text = plexindex_block_text(&block_, &(record_->*field));
        return text == nullptr ? std::string_view() : std::string_view(text, (record_->*field).length);
    }
    std::optional<int> number(std::int32_t plexindex_item::*field) const noexcept {
        if (record_ == nullptr || record_->*field < 0) return std::nullopt;
        return record_->*field;
    }
    bool flag(std::uint32_t flag) const noexcept { return record_ != nullptr && (record_->flags & flag) != 0; }

    plexindex_buffer block_{};
    const plexindex_item *record_ = nullptr;
};

/// The candidates of an answer, best first: a range of Item. A view.
class Candidates {
public:
    /// Random access, but for the rules of C++17: elements are made when they are asked for.
    using iterator = detail::Iterator<Candidates>;

    /// @cond
    Candidates() noexcept = default;
    Candidates(const plexindex_buffer &block, const plexindex_answer *answer) noexcept : block_(block), answer_(answer) {}
    /// @endcond

    /// How many.
    [[nodiscard]] std::size_t size() const noexcept { return answer_ == nullptr ? 0 : answer_->candidates_count; }
    /// Whether there is none.
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// One of them; beyond the last one an item without texts.
    [[nodiscard]] Item operator[](std::size_t place) const noexcept {
        return {block_, plexindex_block_candidate(&block_, answer_, place)};
    }
    /// The best one.
    [[nodiscard]] iterator begin() const noexcept { return {*this, 0}; }
    /// Behind the last one.
    [[nodiscard]] iterator end() const noexcept { return {*this, size()}; }

private:
    plexindex_buffer block_{};
    const plexindex_answer *answer_ = nullptr;
};

/// The answer for one path, GUID or title: `plexindex_answer`. A view, see the top of this file.
class Answer {
public:
    /// @cond
    Answer() noexcept = default;
    Answer(const plexindex_buffer &block, std::size_t place) noexcept
        : block_(block), record_(plexindex_block_answer(&block_, place)) {}
    /// @endcond

    /// Status::ok with an item, Status::not_found, ambiguous, not_yet or needs_warm; in a batch also this answer's error.
    [[nodiscard]] Status status() const noexcept {
        return record_ == nullptr ? Status::not_found : static_cast<Status>(record_->status);
    }
    /// Whether there is a single item.
    explicit operator bool() const noexcept { return status() == Status::ok; }
    /// How the item was found.
    [[nodiscard]] Rung rung() const noexcept { return record_ == nullptr ? Rung::none : static_cast<Rung>(record_->rung); }
    /// How sure the answer is.
    [[nodiscard]] Confidence confidence() const noexcept {
        return record_ == nullptr ? Confidence::none : static_cast<Confidence>(record_->confidence);
    }
    /// Why there is no single item, or what speaks for it or against it.
    [[nodiscard]] Reason reason() const noexcept {
        return record_ == nullptr ? Reason::none : static_cast<Reason>(record_->reason);
    }
    /// What reason() says, as a sentence for people; or the error's text.
    [[nodiscard]] std::string_view message() const noexcept {
        if (record_ == nullptr) return {};
        const char *text = plexindex_block_text(&block_, &record_->message);
        return text == nullptr ? std::string_view() : std::string_view(text, record_->message.length);
    }
    /// The single item.
    [[nodiscard]] std::optional<Item> item() const noexcept {
        const plexindex_item *item = plexindex_block_item(&block_, record_);
        return item == nullptr ? std::nullopt : std::optional<Item>(Item(block_, item));
    }
    /// What fits, best first: 16 at most. A single item is the first.
    [[nodiscard]] Candidates candidates() const noexcept { return {block_, record_}; }
    /// How many fit in all.
    [[nodiscard]] std::size_t candidates_total() const noexcept { return record_ == nullptr ? 0 : record_->candidates_total; }
    /// Of a folder: how many items have a file below it; 0 where several folders fit by their end.
    [[nodiscard]] std::uint64_t items() const noexcept { return record_ == nullptr ? 0 : record_->items; }
    /// Of a folder: how many listed files are below it; 0 as items().
    [[nodiscard]] std::uint64_t files() const noexcept { return record_ == nullptr ? 0 : record_->files; }
    /// What a folder is, as Plex numbers types: 2 show, 3 season, 8 artist, 9 album, or that of its one item; 0: none
    /// of them.
    [[nodiscard]] int kind() const noexcept { return record_ == nullptr ? 0 : record_->kind; }
    /// Whether the listing that answered has expired.
    [[nodiscard]] bool is_stale() const noexcept {
        return record_ != nullptr && (record_->flags & PLEXINDEX_ANSWER_STALE) != 0;
    }
    /// Since when the listing that answered may be out of date.
    [[nodiscard]] std::optional<milliseconds> age() const noexcept {
        return record_ == nullptr || record_->age_ms < 0 ? std::nullopt : std::optional(milliseconds(record_->age_ms));
    }

private:
    plexindex_buffer block_{};
    const plexindex_answer *record_ = nullptr;
};

/// The answers of a batch: a range of Answer, which owns their memory. Move-only.
class Block {
    struct View {
        plexindex_buffer buffer;
        Answer operator[](std::size_t place) const noexcept { return {buffer, place}; }
    };

public:
    /// Random access, but for the rules of C++17: elements are made when they are asked for.
    using iterator = detail::Iterator<View>;

    /// How many answers: one for each path, in order.
    [[nodiscard]] std::size_t size() const noexcept { return plexindex_block_answers(&memory_.buffer()); }
    /// Whether there is none.
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// One of them; beyond the last one an answer that found nothing.
    [[nodiscard]] Answer operator[](std::size_t place) const & noexcept { return {memory_.buffer(), place}; }
    /// The first answer.
    [[nodiscard]] iterator begin() const & noexcept { return {View{memory_.buffer()}, 0}; }
    /// Behind the last one.
    [[nodiscard]] iterator end() const & noexcept { return {View{memory_.buffer()}, size()}; }
    // The memory of what is not kept is gone before its answers are read: give it a name.
    void operator[](std::size_t) const && = delete;
    void begin() const && = delete;
    void end() const && = delete;

    /// How many log lines wait for drain_log().
    [[nodiscard]] std::uint32_t log_lines() const noexcept {
        return empty() ? 0 : static_cast<const plexindex_answers *>(memory_.buffer().data)->log_lines;
    }

    /// @cond
    detail::Memory memory_;
    /// @endcond
};

/// One answer, which owns its memory. Move-only.
class Match {
public:
    /// The answer, for what is not said here.
    [[nodiscard]] Answer answer() const & noexcept { return block_[0]; }
    /// The single item.
    [[nodiscard]] std::optional<Item> item() const & noexcept { return answer().item(); }
    /// What fits, best first: 16 at most.
    [[nodiscard]] Candidates candidates() const & noexcept { return answer().candidates(); }
    /// What reason() says, as a sentence for people.
    [[nodiscard]] std::string_view message() const & noexcept { return answer().message(); }
    // The memory of what is not kept is gone before its texts are read: give it a name.
    void answer() const && = delete;
    void item() const && = delete;
    void candidates() const && = delete;
    void message() const && = delete;

    /// As Answer::status().
    [[nodiscard]] Status status() const noexcept { return view().status(); }
    /// Whether there is a single item.
    explicit operator bool() const noexcept { return status() == Status::ok; }
    /// As Answer::rung().
    [[nodiscard]] Rung rung() const noexcept { return view().rung(); }
    /// As Answer::confidence().
    [[nodiscard]] Confidence confidence() const noexcept { return view().confidence(); }
    /// As Answer::reason().
    [[nodiscard]] Reason reason() const noexcept { return view().reason(); }
    /// How many log lines wait for drain_log().
    [[nodiscard]] std::uint32_t log_lines() const noexcept { return block_.log_lines(); }

    /// @cond
    Block block_;
    /// @endcond

private:
    Answer view() const noexcept { return block_[0]; }
};

/// The keys of a batch of fast lookups, in order: a range of std::string_view, which owns their memory. Move-only.
class Keys {
public:
    /// Goes from one key to the next.
    class iterator {
        /// @cond
    public:
        using value_type = std::string_view;
        using reference = std::string_view;
        using pointer = void;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::forward_iterator_tag;

        iterator() = default;
        explicit iterator(const char *at) noexcept : at_(at) {}
        std::string_view operator*() const noexcept { return std::string_view(at_); }
        iterator &operator++() noexcept {
            at_ += std::strlen(at_) + 1;
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(iterator a, iterator b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(iterator a, iterator b) noexcept { return a.at_ != b.at_; }

    private:
        const char *at_ = nullptr;
        /// @endcond
    };

    /// The keys, one for each path. An empty key says that a fast lookup does not know.
    [[nodiscard]] iterator begin() const & noexcept { return iterator(text()); }
    /// Behind the last one.
    [[nodiscard]] iterator end() const & noexcept { return iterator(text() + memory_.buffer().length); }
    void begin() const && = delete;
    void end() const && = delete;

    /// @cond
    detail::Memory memory_;
    /// @endcond

private:
    const char *text() const noexcept { return static_cast<const char *>(memory_.buffer().data); }
};

/// How one path relates to another: `plexindex_compare_paths`.
struct Relation {
    /// As C has it: `PLEXINDEX_PATHS_*`.
    std::uint32_t bits = 0;
    /// The two paths have the same components.
    [[nodiscard]] bool equal() const noexcept { return (bits & PLEXINDEX_PATHS_EQUAL) != 0; }
    /// The path lies under the other one.
    [[nodiscard]] bool under() const noexcept { return (bits & PLEXINDEX_PATHS_UNDER) != 0; }
    /// How many components agree, from the end.
    [[nodiscard]] std::uint32_t common() const noexcept { return bits & PLEXINDEX_PATHS_COMMON; }
};

/// What becomes of many items: `plexindex_edit`. The names are Plex's.
class Edit {
public:
    /// What becomes of the locks of the fields that are named.
    enum class Lock : std::int32_t {
        lock = PLEXINDEX_EDIT_LOCK,
        unlock = PLEXINDEX_EDIT_UNLOCK,
        leave = PLEXINDEX_EDIT_LEAVE,
    };

    /// Names an item, by its key or rating key.
    Edit &item(std::string_view key) { return keys_.add(key), *this; }
    /// Sets a field.
    Edit &set(std::string_view name, std::string_view value) { return change(name, "", value); }
    /// Adds a tag.
    Edit &add(std::string_view name, std::string_view tag) { return change(name, "+", tag); }
    /// Removes a tag.
    Edit &remove(std::string_view name, std::string_view tag) { return change(name, "-", tag); }
    /// Changes a field's lock only.
    Edit &touch(std::string_view name) { return change(name, "!", ""); }

    /// What becomes of the locks.
    Lock lock = Lock::lock;
    /// As Ask::deadline.
    std::optional<milliseconds> deadline{};
    /// As Ask::no_deadline.
    bool no_deadline = false;

    /// @cond
    Paths keys_;
    Paths changes_;
    /// @endcond

private:
    Edit &change(std::string_view name, std::string_view how, std::string_view value) {
        changes_.add(std::string(name).append(how));
        changes_.add(value);
        return *this;
    }
};

/// How far an edit came, whether it succeeded or not: `plexindex_edit_report`.
struct EditReport {
    /// What became of one item: `PLEXINDEX_EDITED_*`.
    enum class State : std::uint8_t {
        no = PLEXINDEX_EDITED_NO,
        done = PLEXINDEX_EDITED_DONE,
        failed = PLEXINDEX_EDITED_FAILED,
        missing = PLEXINDEX_EDITED_MISSING,
    };
    /// For each key, in order.
    std::vector<State> states{};
    /// How many items the server edited.
    std::uint64_t done = 0;
    /// How many are of the request that failed.
    std::uint64_t failed = 0;
    /// How many requests were sent.
    std::uint64_t requests = 0;
};

/// @cond
namespace detail {

/// Whether there is a text; a copy of it.
inline bool copied(std::string &into, const char *text) {
    into.assign(text == nullptr ? "" : text);
    return text != nullptr;
}

inline std::int64_t deadline_ms(const std::optional<milliseconds> &deadline, bool none) noexcept {
    if (none) return PLEXINDEX_NO_DEADLINE;
    if (!deadline.has_value()) return 0;
    return deadline->count() < 1 ? 1 : static_cast<std::int64_t>(deadline->count());
}

/// A host's function, called through C: what it throws waits here until C has returned.
template <class Function> class Callback {
public:
    explicit Callback(const Function &function) noexcept : function_(function) {}

    template <class... Arguments> bool operator()(const Arguments &...arguments) {
#if defined(__cpp_exceptions)
        if (thrown_ != nullptr) return false;
        try {
            return call(arguments...);
#if defined(__GLIBCXX__)
        } catch (abi::__forced_unwind &) {
            throw; // the end of the thread: no one may stop it
#endif
        } catch (...) {
            thrown_ = std::current_exception();
            return false;
        }
#else
        return call(arguments...);
#endif
    }

    void rethrow() {
#if defined(__cpp_exceptions)
        if (thrown_ != nullptr) std::rethrow_exception(std::exchange(thrown_, nullptr));
#endif
    }

private:
    template <class... Arguments> bool call(const Arguments &...arguments) {
        if constexpr (std::is_void_v<decltype(function_(arguments...))>) {
            function_(arguments...);
            return true;
        } else {
            return function_(arguments...);
        }
    }

    const Function &function_;
#if defined(__cpp_exceptions)
    std::exception_ptr thrown_;
#endif
};

using ProgressCallback = Callback<std::function<bool(const Progress &)>>;

/// A query, and the host's function while it runs.
class Query {
public:
    Query(const plexindex_library_handle *library, std::string_view text, const Ask &ask, std::uint32_t flags = 0)
        : callback_(ask.progress) {
        raw.size = sizeof raw;
        raw.library = library;
        raw.text = bytes(text);
        raw.deadline_ms = deadline_ms(ask.deadline, ask.no_deadline);
        raw.flags = flags | (ask.offline ? static_cast<std::uint32_t>(PLEXINDEX_QUERY_OFFLINE) : 0) |
                    (ask.at_once ? static_cast<std::uint32_t>(PLEXINDEX_QUERY_AT_ONCE) : 0);
        if (ask.progress) {
            raw.progress = report;
            raw.progress_user = &callback_;
        }
    }
    Query(const Query &) = delete;
    Query &operator=(const Query &) = delete;

    void rethrow() { callback_.rethrow(); }

    plexindex_query raw{};

private:
    static std::int32_t report(void *user, const plexindex_progress *raw) {
        const Progress progress{
            {raw->library.data == nullptr ? "" : raw->library.data, raw->library.length},
            raw->items,
            raw->total,
            milliseconds(static_cast<milliseconds::rep>(raw->elapsed_ms)),
        };
        return (*static_cast<ProgressCallback *>(user))(progress) ? 0 : 1;
    }

    ProgressCallback callback_;
};

/// Fills a string by a call that writes text.
template <class Call> std::int32_t fill(std::string &text, Call call) {
    // More than a string has room for within itself, where nothing says how that is aligned.
    text.resize(std::max<std::size_t>(text.capacity(), 1024));
    plexindex_buffer buffer{&text[0], text.size(), 0};
    std::int32_t status = call(&buffer);
    while (status == PLEXINDEX_BUFFER_TOO_SMALL && buffer.length > buffer.capacity) {
        text.resize(buffer.length);
        buffer = {&text[0], text.size(), 0};
        status = call(&buffer);
    }
    text.resize(status == PLEXINDEX_OK ? buffer.length : 0);
    return status;
}

/// What all classes with calls share.
template <class Policy> class Caller {
public:
    /// What a call gives: `T`, or Result<T>.
    template <class T> using Of = typename Policy::template Of<T>;

protected:
    Caller() noexcept = default;
    explicit Caller(std::shared_ptr<Opened> opened) noexcept : opened_(std::move(opened)) {}

    [[nodiscard]] plexindex_handle *handle() const noexcept { return handle_of(opened_); }

    /// What comes of a call without an answer.
    static Of<void> done(std::int32_t status, const Failure &failure) {
        if (status >= first_error) return Policy::template failed<void>(failure.error(status));
        return Of<void>();
    }
    /// What comes of a call with this answer.
    template <class T> static Of<T> given(std::int32_t status, const Failure &failure, T value) {
        if (status >= first_error) return Policy::template failed<T>(failure.error(status));
        return Of<T>(std::move(value));
    }
    /// What comes of a call that writes text.
    template <class Call> static Of<std::string> text(Call call) {
        Failure failure;
        std::string text;
        const std::int32_t status = fill(text, [&](plexindex_buffer *buffer) { return call(buffer, failure.buffer()); });
        return given(status, failure, std::move(text));
    }

    std::shared_ptr<Opened> opened_;
};

} // namespace detail
/// @endcond

template <class Policy> class BasicIndex;

/// The items of a library, page by page; from Library::pages(). Move-only.
template <class Policy> class BasicPages : detail::Caller<Policy> {
    using Base = detail::Caller<Policy>;

public:
    /// @cond
    BasicPages(std::shared_ptr<detail::Opened> opened, const plexindex_library_handle *library, std::size_t limit) noexcept
        : Base(std::move(opened)), library_(library), limit_(limit) {}
    /// @endcond

    /// Reads the next page; `false` after the last one.
    typename Base::template Of<bool> next() {
        detail::Failure failure;
        const std::int32_t status = block_.memory_.fill(64 * 1024, [&](plexindex_buffer *page) {
            return plexindex_items(this->handle(), library(), &cursor_, limit_, page, failure.buffer());
        });
        return this->given(status, failure, status == PLEXINDEX_OK);
    }
    /// The items of this page.
    [[nodiscard]] Candidates items() const & noexcept { return block_[0].candidates(); }
    void items() const && = delete;

private:
    const plexindex_library_handle *library() const noexcept { return this->handle() == nullptr ? nullptr : library_; }

    const plexindex_library_handle *library_;
    std::size_t limit_;
    std::int64_t cursor_ = 0;
    Block block_;
};

/// The items with files below a folder, page by page, in the order of the paths; from Library::pages_below() and
/// Library::pages_not_on_disk(). Move-only.
template <class Policy> class BasicPagesBelow : detail::Caller<Policy> {
    using Base = detail::Caller<Policy>;

public:
    /// @cond
    using Read = decltype(&plexindex_items_below);
    BasicPagesBelow(std::shared_ptr<detail::Opened> opened, const plexindex_library_handle *library, std::string folder,
                    std::size_t limit, Read read = plexindex_items_below)
        : Base(std::move(opened)), library_(library), folder_(std::move(folder)), limit_(limit), read_(read) {}
    /// @endcond

    /// Reads the next page; `false` after the last one.
    typename Base::template Of<bool> next() {
        detail::Failure failure;
        const std::int32_t status = block_.memory_.fill(64 * 1024, [&](plexindex_buffer *page) {
            return read_(library(), folder_.data(), folder_.size(), after_.data(), after_.size(), limit_, page, failure.buffer());
        });
        if (status == PLEXINDEX_OK) {
            const Candidates page = block_[0].candidates();
            if (!page.empty()) after_ = std::string(page[page.size() - 1].path());
        }
        return this->given(status, failure, status == PLEXINDEX_OK);
    }
    /// The items of this page, each with one of its files as path().
    [[nodiscard]] Candidates items() const & noexcept { return block_[0].candidates(); }
    void items() const && = delete;

private:
    const plexindex_library_handle *library() const noexcept { return this->handle() == nullptr ? nullptr : library_; }

    const plexindex_library_handle *library_;
    std::string folder_;
    std::string after_;
    std::size_t limit_;
    Read read_;
    Block block_;
};

/// A library of an index, or all of them; from Index::library(). It keeps the index open. It may be copied: a copy is the
/// same library.
template <class Policy> class BasicLibrary : detail::Caller<Policy> {
    using Base = detail::Caller<Policy>;
    template <class T> using Of = typename Base::template Of<T>;

public:
    /// The fast lookup: the key of the item with this path, where the index has it at hand with high confidence; else
    /// empty, and match() is to be asked. It waits for 200 ms at most.
    [[nodiscard]] std::string lookup_key(PathRef path) const {
        const char *key = looked_up(path);
        return key == nullptr ? std::string() : std::string(key);
    }
    /// lookup_key() into the memory of an earlier key: without an allocation when that is large enough. Whether the key is
    /// known; the text is empty otherwise.
    bool lookup_key_into(std::string &key, PathRef path) const { return detail::copied(key, looked_up(path)); }
    /// lookup_key() for many paths.
    [[nodiscard]] Of<Keys> lookup_keys(const Paths &paths) const {
        Keys keys;
        detail::Failure failure;
        const std::int32_t status = keys_into(keys, paths, failure);
        return this->given(status, failure, std::move(keys));
    }
    /// lookup_keys() into the memory of earlier keys.
    Of<void> lookup_keys_into(Keys &keys, const Paths &paths) const {
        detail::Failure failure;
        return this->done(keys_into(keys, paths, failure), failure);
    }

    /// Which item is this file? Sends requests where they are needed and allowed.
    [[nodiscard]] Of<Match> match(PathRef path, const Ask &ask = {}) const { return one(plexindex_match_path, path, ask); }
    /// match() into the memory of an earlier result: without an allocation when that is large enough.
    Of<Status> match_into(Match &match, PathRef path, const Ask &ask = {}) const {
        return into(match, plexindex_match_path, path, ask);
    }
    /// Which show, season, artist, album or item is this folder? The answer's items(), files() and kind() say what is below it.
    [[nodiscard]] Of<Match> folder(PathRef path, const Ask &ask = {}) const { return one(plexindex_match_folder, path, ask); }
    /// The items with this GUID.
    [[nodiscard]] Of<Match> match_guid(std::string_view guid, const Ask &ask = {}) const {
        return one(plexindex_match_guid, guid, ask);
    }
    /// The items with this title.
    [[nodiscard]] Of<Match> search_title(std::string_view title, const Ask &ask = {}) const {
        return one(plexindex_search_title, title, ask);
    }
    /// match() for many paths: one answer each, in order, each with its own status.
    [[nodiscard]] Of<Block> match_paths(const Paths &paths, const Ask &ask = {}) const {
        Block block;
        detail::Failure failure;
        const std::int32_t status = block_into(block, paths, ask, failure);
        return this->given(status, failure, std::move(block));
    }
    /// match_paths() into the memory of an earlier result.
    Of<void> match_paths_into(Block &block, const Paths &paths, const Ask &ask = {}) const {
        detail::Failure failure;
        return this->done(block_into(block, paths, ask, failure), failure);
    }

    /// Records that the item with this key has this path.
    Of<void> record_match(PathRef path, std::string_view key) const {
        detail::Failure failure;
        const std::string_view text = path.bytes();
        return this->done(
            plexindex_record_match(raw(), text.data(), text.size(), key.data(), key.size(), failure.buffer()), failure);
    }
    /// record_match() for many: all are recorded, or none. The keys stand in the order of the paths.
    Of<void> record_matches(const Paths &paths, const Paths &keys) const {
        detail::Failure failure;
        const std::string_view names = paths.text(), values = keys.text();
        return this->done(plexindex_record_matches(raw(), names.data(), names.size(), values.data(), values.size(),
                                                   paths.size(), failure.buffer()),
                          failure);
    }
    /// Invalidates a path: its item is verified before it is answered again.
    Of<void> invalidate_path(PathRef path) const {
        detail::Failure failure;
        const std::string_view text = path.bytes();
        return this->done(plexindex_invalidate_path(raw(), text.data(), text.size(), failure.buffer()), failure);
    }
    /// Invalidates an item, by its key or rating key.
    Of<void> invalidate_item(std::string_view key) const {
        detail::Failure failure;
        return this->done(plexindex_invalidate_item(raw(), key.data(), key.size(), failure.buffer()), failure);
    }
    /// Invalidates the library: the next call that may ask the server fetches a full listing.
    Of<void> invalidate() const {
        detail::Failure failure;
        return this->done(plexindex_invalidate_library(raw(), failure.buffer()), failure);
    }
    /// Brings the library up to date now; with `full` by a full listing in any case. Status::ok, or Status::not_yet when
    /// the deadline came first.
    Of<Status> refresh(const Ask &ask = {}, bool full = false) const {
        return refreshed(ask, full ? PLEXINDEX_QUERY_FULL : 0);
    }
    /// Brings the library up to date now, and asks the server once whether anything changed while the listing is fresh, too.
    Of<Status> check(const Ask &ask = {}) const { return refreshed(ask, PLEXINDEX_QUERY_PROBE); }

    /// What was added, removed, changed and moved since a cursor was given, as the JSON object of plexindex_changes_json(): about
    /// so many items, and the cursor to go on from. Without a cursor there is nothing yet, and the cursor is that of now; with
    /// `full` all items come as additions first. Sends no request.
    [[nodiscard]] Of<std::string> changes_json(std::string_view token = {}, std::size_t limit = 1000, bool full = false) const {
        const detail::Query query(raw(), token, {}, full ? PLEXINDEX_QUERY_FULL : 0);
        return this->text([&](plexindex_buffer *json, plexindex_buffer *error) {
            return plexindex_changes_json(this->handle(), &query.raw, limit, json, error);
        });
    }
    /// Waits until changes_json() has something, or the server has to be asked before that is known: Status::ok. With the
    /// deadline Status::not_yet. `ask.progress` is called every 200 ms and by wake_waiting(), and ends it.
    Of<Status> wait_for_changes(std::string_view token, const Ask &ask = {}) const {
        detail::Failure failure;
        detail::Query query(raw(), token, ask);
        const std::int32_t status = plexindex_wait_for_changes(this->handle(), &query.raw, failure.buffer());
        query.rethrow();
        return this->given(status, failure, static_cast<Status>(status));
    }

    /// The items as the store has them, so many a page. Sends no request.
    [[nodiscard]] BasicPages<Policy> pages(std::size_t limit = 1000) const {
        return BasicPages<Policy>(this->opened_, raw(), limit);
    }
    /// The items with files below a folder, in pages of so many files.
    [[nodiscard]] BasicPagesBelow<Policy> pages_below(PathRef folder, std::size_t limit = 1000) const {
        return BasicPagesBelow<Policy>(this->opened_, raw(), std::string(folder.bytes()), limit);
    }
    /// Those of them whose files are not on this machine's disk, all files of items that have several, and the last one of so
    /// many files that were looked for.
    [[nodiscard]] BasicPagesBelow<Policy> pages_not_on_disk(PathRef folder, std::size_t limit = 1000) const {
        return BasicPagesBelow<Policy>(this->opened_, raw(), std::string(folder.bytes()), limit, plexindex_items_not_on_disk);
    }
    /// Walks folders of this machine for a while: findings as `plexindex_walk` gives them, four texts each that NULs follow.
    /// `folders`: pairs of them, `folder` and the path, or `walk` and its number; without `walk` no link is followed. `files`: receives how many media files there were.
    [[nodiscard]] Of<std::string> walk(const Paths &folders, std::uint64_t &files, std::uint32_t rules = rule::all,
                                       std::size_t limit = 10000) const {
        const std::string_view given = folders.text();
        return this->text([&](plexindex_buffer *page, plexindex_buffer *error) {
            return plexindex_walk(raw(), given.data(), given.size(), folders.size() / 2, rules, limit, &files, page, error);
        });
    }
    /// One item as the store has it, as JSON; empty when no listing holds it.
    [[nodiscard]] Of<std::string> item_json(std::string_view key) const {
        return this->text([&](plexindex_buffer *json, plexindex_buffer *error) {
            return plexindex_item_json(raw(), key.data(), key.size(), json, error);
        });
    }
    /// Gives many items of this library the same values. `report` is filled in also when the call fails.
    Of<void> edit_items(const Edit &edit, EditReport *report = nullptr) const {
        detail::Failure failure;
        EditReport told;
        told.states.resize(edit.keys_.size(), EditReport::State::no);
        static_assert(sizeof(EditReport::State) == 1, "as C has it");
        plexindex_edit raw_edit{};
        raw_edit.size = sizeof raw_edit;
        raw_edit.library = raw();
        raw_edit.keys = detail::bytes(edit.keys_.text());
        raw_edit.keys_count = edit.keys_.size();
        raw_edit.changes = detail::bytes(edit.changes_.text());
        raw_edit.changes_count = edit.changes_.size() / 2;
        raw_edit.deadline_ms = detail::deadline_ms(edit.deadline, edit.no_deadline);
        raw_edit.lock = static_cast<std::int32_t>(edit.lock);
        plexindex_edit_report raw_report{};
        raw_report.size = sizeof raw_report;
        raw_report.states = reinterpret_cast<std::uint8_t *>(told.states.data());
        raw_report.states_capacity = told.states.size();
        const std::int32_t status = plexindex_edit_items(this->handle(), &raw_edit, &raw_report, failure.buffer());
        if (report != nullptr) {
            told.done = raw_report.done;
            told.failed = raw_report.failed;
            told.requests = raw_report.requests;
            *report = std::move(told);
        }
        return this->done(status, failure);
    }

private:
    friend class BasicIndex<Policy>;
    using One = std::int32_t (*)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);

    BasicLibrary(std::shared_ptr<detail::Opened> opened, const plexindex_library_handle *library) noexcept
        : Base(std::move(opened)), library_(library) {}

    /// NULL where the index was closed, or this was moved from: no call takes it then.
    const plexindex_library_handle *raw() const noexcept { return this->handle() == nullptr ? nullptr : library_; }
    // It belongs to the thread until its next fast lookup.
    const char *looked_up(const PathRef &path) const {
        return path.terminated([&](const char *text) { return plexindex_lookup_key(raw(), text); });
    }

    Of<Status> refreshed(const Ask &ask, std::uint32_t flags) const {
        detail::Failure failure;
        detail::Query query(raw(), {}, ask, flags);
        const std::int32_t status = plexindex_refresh(this->handle(), &query.raw, failure.buffer());
        query.rethrow();
        return this->given(status, failure, static_cast<Status>(status));
    }

    std::int32_t ask_into(Match &match, One function, PathRef text, const Ask &ask, detail::Failure &failure) const {
        detail::Query query(raw(), text.bytes(), ask);
        const std::int32_t status = match.block_.memory_.fill(8 * 1024, [&](plexindex_buffer *answer) {
            return function(this->handle(), &query.raw, answer, failure.buffer());
        });
        query.rethrow();
        return status;
    }
    Of<Match> one(One function, PathRef text, const Ask &ask) const {
        Match match;
        detail::Failure failure;
        const std::int32_t status = ask_into(match, function, text, ask, failure);
        return this->given(status, failure, std::move(match));
    }
    Of<Status> into(Match &match, One function, PathRef text, const Ask &ask) const {
        detail::Failure failure;
        const std::int32_t status = ask_into(match, function, text, ask, failure);
        return this->given(status, failure, static_cast<Status>(status));
    }
    std::int32_t block_into(Block &block, const Paths &paths, const Ask &ask, detail::Failure &failure) const {
        detail::Query query(raw(), paths.text(), ask);
        // What most answers need: asking again is dearer than memory that is not used.
        const std::size_t room = 4096 + paths.size() * 384 + paths.text().size() * 2;
        const std::int32_t status = block.memory_.fill(room, [&](plexindex_buffer *answers) {
            return plexindex_match_paths(this->handle(), &query.raw, paths.size(), answers, failure.buffer());
        });
        query.rethrow();
        return status;
    }
    std::int32_t keys_into(Keys &keys, const Paths &paths, detail::Failure &failure) const {
        return keys.memory_.fill(paths.size() * 32, [&](plexindex_buffer *buffer) {
            return plexindex_lookup_keys(raw(), paths.text().data(), paths.text().size(), paths.size(), buffer,
                                         failure.buffer());
        });
    }

    const plexindex_library_handle *library_ = nullptr;
};

/// A table of the host's own values, or all tables; from Index::table(). It keeps the index open. It may be copied: a copy
/// is the same table.
template <class Policy> class BasicTable : detail::Caller<Policy> {
    using Base = detail::Caller<Policy>;
    template <class T> using Of = typename Base::template Of<T>;

public:
    /// The fast lookup: the value of this name, where the index has it at hand; nothing where get() is to be asked.
    [[nodiscard]] std::optional<std::string> lookup(PathRef name) const {
        const char *value = looked_up(name);
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    }
    /// lookup() into the memory of an earlier value: without an allocation when that is large enough. Whether it is known; the
    /// text is empty otherwise.
    bool lookup_into(std::string &value, PathRef name) const { return detail::copied(value, looked_up(name)); }
    /// The value of this name.
    [[nodiscard]] Of<std::optional<std::string>> get(std::string_view name) const {
        detail::Failure failure;
        std::string value;
        const std::int32_t status = read(value, name, failure);
        return this->given(status, failure,
                           status == PLEXINDEX_OK ? std::optional<std::string>(std::move(value)) : std::nullopt);
    }
    /// get() into the memory of an earlier value; whether there is one.
    Of<bool> get_into(std::string &value, std::string_view name) const {
        detail::Failure failure;
        const std::int32_t status = read(value, name, failure);
        return this->given(status, failure, status == PLEXINDEX_OK);
    }
    /// Whether there is a value.
    [[nodiscard]] Of<bool> contains(std::string_view name) const {
        detail::Failure failure;
        const std::int32_t status = plexindex_table_get(raw(), name.data(), name.size(), nullptr, failure.buffer());
        return this->given(status, failure, status == PLEXINDEX_OK);
    }
    /// Stores a value for `ttl`: 0 for one hour, ttl_at_once, ttl_never. All tables of the store may take `limit` bytes.
    Of<void> put(std::string_view name, std::string_view value, milliseconds ttl, std::uint64_t limit) const {
        detail::Failure failure;
        return this->done(plexindex_table_put(raw(), name.data(), name.size(), value.data(), value.size(), ttl.count(),
                                              limit, failure.buffer()),
                          failure);
    }
    /// Removes an entry. One that does not exist is no error.
    Of<void> remove(std::string_view name) const {
        detail::Failure failure;
        return this->done(plexindex_table_remove(raw(), name.data(), name.size(), failure.buffer()), failure);
    }
    /// The name behind `after`, in the order of their bytes; the first one without `after`.
    [[nodiscard]] Of<std::optional<std::string>> next(const std::optional<std::string> &after = std::nullopt) const {
        detail::Failure failure;
        std::string name;
        const std::int32_t status = detail::fill(name, [&](plexindex_buffer *buffer) {
            const char *data = after.has_value() ? after->c_str() : nullptr;
            return plexindex_table_next(raw(), data, after.has_value() ? after->size() : 0, buffer, failure.buffer());
        });
        return this->given(status, failure,
                           status == PLEXINDEX_OK ? std::optional<std::string>(std::move(name)) : std::nullopt);
    }
    /// How many entries.
    [[nodiscard]] Of<std::uint64_t> count() const {
        detail::Failure failure;
        std::uint64_t count = 0;
        const std::int32_t status = plexindex_table_count(raw(), &count, failure.buffer());
        return this->given(status, failure, count);
    }
    /// Removes all entries.
    Of<void> clear() const {
        detail::Failure failure;
        return this->done(plexindex_table_clear(raw(), failure.buffer()), failure);
    }

    /// @cond
    /// NULL where the index was closed, or this was moved from.
    const plexindex_table_handle *raw() const noexcept { return this->handle() == nullptr ? nullptr : table_; }
    // It belongs to the thread until its next fast lookup.
    const char *looked_up(const PathRef &name) const {
        return name.terminated([&](const char *text) { return plexindex_table_lookup(raw(), text); });
    }
    /// @endcond

private:
    friend class BasicIndex<Policy>;

    BasicTable(std::shared_ptr<detail::Opened> opened, const plexindex_table_handle *table) noexcept
        : Base(std::move(opened)), table_(table) {}

    std::int32_t read(std::string &value, std::string_view name, detail::Failure &failure) const {
        return detail::fill(value, [&](plexindex_buffer *buffer) {
            return plexindex_table_get(raw(), name.data(), name.size(), buffer, failure.buffer());
        });
    }

    const plexindex_table_handle *table_ = nullptr;
};

/// Many changes of tables, made together by Index::write(). It keeps the names and values.
template <class Policy> class BasicWrite {
public:
    /// Stores a value.
    BasicWrite &put(const BasicTable<Policy> &table, std::string_view name, std::string_view value) {
        return add(PLEXINDEX_TABLE_PUT, table, name, value);
    }
    /// Removes an entry.
    BasicWrite &remove(const BasicTable<Policy> &table, std::string_view name) {
        return add(PLEXINDEX_TABLE_REMOVE, table, name, {});
    }
    /// Removes all entries of a table.
    BasicWrite &clear(const BasicTable<Policy> &table) { return add(PLEXINDEX_TABLE_CLEAR, table, {}, {}); }

    /// @cond
    struct Op {
        std::int32_t kind;
        BasicTable<Policy> table;
        std::string name;
        std::string value;
    };
    std::vector<Op> ops_;
    /// @endcond

private:
    BasicWrite &add(std::int32_t kind, const BasicTable<Policy> &table, std::string_view name, std::string_view value) {
        ops_.push_back(Op{kind, table, std::string(name), std::string(value)});
        return *this;
    }
};

/// An open index. It is closed when it and all its libraries and tables are gone, or by close(). Move-only.
template <class Policy> class BasicIndex : detail::Caller<Policy> {
    using Base = detail::Caller<Policy>;
    template <class T> using Of = typename Base::template Of<T>;

public:
    /// Its libraries.
    using Library = BasicLibrary<Policy>;
    /// Its tables.
    using Table = BasicTable<Policy>;
    /// Changes of its tables.
    using Write = BasicWrite<Policy>;

    /// @cond
    BasicIndex(BasicIndex &&) noexcept = default;
    BasicIndex &operator=(BasicIndex &&) noexcept = default;
    BasicIndex(const BasicIndex &) = delete;
    BasicIndex &operator=(const BasicIndex &) = delete;
    ~BasicIndex() = default;
    /// @endcond

    /// Opens an index. Reads the disk only and sends no request.
    [[nodiscard]] static Of<BasicIndex> open(const Options &options) {
        detail::Failure failure;
        if (plexindex_abi_version() != PLEXINDEX_ABI_VERSION) {
            return Policy::template failed<BasicIndex>(
                Error(Status::unsupported, "the plexindex library has another ABI version than the header that this "
                                           "program was compiled with: install matching versions"));
        }
        auto opened = std::make_shared<detail::Opened>();
        std::vector<plexindex_mapping> mappings;
        mappings.reserve(options.mappings.size());
        for (const Mapping &mapping : options.mappings) {
            mappings.push_back(
                {static_cast<std::int32_t>(mapping.kind), 0, detail::bytes(mapping.from), detail::bytes(mapping.to)});
        }
        plexindex_options raw{};
        raw.size = sizeof raw;
        raw.cache_dir = detail::bytes(options.cache_dir.native());
        raw.server_url = detail::bytes(options.server_url);
        raw.token = detail::bytes(options.token);
        raw.user = detail::bytes(options.user);
        raw.ca_file = detail::bytes(options.ca_file.native());
        raw.library_ttl_ms = options.library_ttl.count();
        raw.max_age_ms = options.max_age.count();
        raw.deadline_ms = options.deadline.count();
        raw.connect_timeout_ms = options.connect_timeout.count();
        raw.read_timeout_ms = options.read_timeout.count();
        raw.retry_ms = options.retry_for.count();
        raw.matches_limit = options.matches_limit;
        raw.flags = (options.offline ? PLEXINDEX_OPEN_OFFLINE : 0u) |
                    (options.accept_invalid_certs ? PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS : 0u) |
                    (options.no_mmap ? PLEXINDEX_OPEN_NO_MMAP : 0u) |
                    (options.obfuscate_paths ? PLEXINDEX_OPEN_OBFUSCATE_PATHS : 0u);
        raw.page_size = options.page_size;
        raw.log_level = static_cast<std::int32_t>(options.log_level);
        raw.mappings = mappings.data();
        raw.mappings_count = mappings.size();
        raw.slow_ms = options.slow.count();
        raw.size_limit = options.size_limit;
        raw.database = detail::bytes(options.database.native());
        if (options.renew_token) {
            opened->renew_token = options.renew_token;
            raw.renew_token = detail::renew_token;
            raw.renew_token_user = opened.get();
        }
        const std::int32_t status = plexindex_open(&raw, &opened->handle, failure.buffer());
        return Base::given(status, failure, BasicIndex(std::move(opened)));
    }
    /// Closes the index, and says whether its counters were written. No other call may be under way with it, its libraries
    /// or its tables. Those that are left answer Status::null_pointer from then on.
    Of<void> close() {
        detail::Failure failure;
        const std::int32_t status =
            this->opened_ == nullptr ? PLEXINDEX_OK
                                     : plexindex_close(std::exchange(this->opened_->handle, nullptr), failure.buffer());
        return this->done(status, failure);
    }
    /// Whether it is open: not closed, not moved from.
    [[nodiscard]] bool is_open() const noexcept { return this->handle() != nullptr; }

    /// The library with this title, section id or uuid. Sends no request.
    [[nodiscard]] Of<Library> library(std::string_view name, Select by = Select::title) const {
        detail::Failure failure;
        const plexindex_library_handle *library = nullptr;
        const std::int32_t status = plexindex_library(this->handle(), static_cast<std::int32_t>(by), name.data(),
                                                      name.size(), &library, failure.buffer());
        return this->given(status, failure, Library(this->opened_, library));
    }
    /// All libraries.
    [[nodiscard]] Of<Library> all() const { return library({}, Select::all); }
    /// A table of the host's own values; `fold` takes `A` to `Z` in names for `a` to `z`.
    [[nodiscard]] Of<Table> table(std::string_view name, bool fold = false) const {
        // An empty name is a name: NULL would be all tables.
        return table_of(name.data() == nullptr ? "" : name.data(), name.size(), fold);
    }
    /// All tables, to count or to clear.
    [[nodiscard]] Of<Table> all_tables() const { return table_of(nullptr, 0, false); }
    /// Makes many changes of tables in one transaction: all, or none. `ttl` and `limit` as for Table::put().
    Of<void> write(const Write &write, milliseconds ttl, std::uint64_t limit) const {
        detail::Failure failure;
        std::vector<plexindex_table_op> ops;
        ops.reserve(write.ops_.size());
        for (const auto &op : write.ops_) {
            ops.push_back({op.kind, 0, op.table.raw(), detail::bytes(op.name), detail::bytes(op.value)});
        }
        return this->done(
            plexindex_table_write(this->handle(), ops.data(), ops.size(), ttl.count(), limit, failure.buffer()), failure);
    }

    /// Replaces the token; an empty one is none. Sends no request, and calls under way go on as they began. Without
    /// Options::user nothing of the earlier token's is answered before the server has accepted this one.
    Of<void> set_token(std::string_view token) const {
        detail::Failure failure;
        return this->done(plexindex_set_token(this->handle(), token.data(), token.size(), failure.buffer()), failure);
    }
    /// Makes each wait_for_changes() that is under way call its progress now.
    Of<void> wake_waiting() const {
        detail::Failure failure;
        return this->done(plexindex_wake_waiting(this->handle(), failure.buffer()), failure);
    }
    /// Invalidates every library.
    Of<void> invalidate_all() const {
        detail::Failure failure;
        return this->done(plexindex_invalidate_all(this->handle(), failure.buffer()), failure);
    }
    /// Removes all that the store holds of this server and user.
    Of<void> clear() const {
        detail::Failure failure;
        return this->done(plexindex_clear(this->handle(), failure.buffer()), failure);
    }
    /// Begins to listen to the server's events.
    Of<void> watch_start() const {
        detail::Failure failure;
        return this->done(plexindex_watch_start(this->handle(), failure.buffer()), failure);
    }
    /// Ends what watch_start() began.
    Of<void> watch_stop() const {
        detail::Failure failure;
        return this->done(plexindex_watch_stop(this->handle(), failure.buffer()), failure);
    }
    /// Tells the index of an event that the host received itself, such as a webhook's body.
    Of<void> notify(std::string_view body) const {
        detail::Failure failure;
        return this->done(plexindex_notify(this->handle(), body.data(), body.size(), failure.buffer()), failure);
    }

    /// What happened.
    [[nodiscard]] Of<Statistics> stats() const {
        detail::Failure failure;
        Statistics stats{};
        stats.size = sizeof stats;
        const std::int32_t status = plexindex_stats(this->handle(), &stats, failure.buffer());
        return this->given(status, failure, stats);
    }
    /// The statistics as JSON.
    [[nodiscard]] Of<std::string> stats_json() const {
        return this->text([&](plexindex_buffer *json, plexindex_buffer *error) {
            return plexindex_stats_json(this->handle(), json, error);
        });
    }
    /// The libraries, as JSON.
    [[nodiscard]] Of<std::string> libraries_json(const Ask &ask = {}) const { return asked(plexindex_libraries_json, ask); }
    /// Who the server is, as JSON. It is asked.
    [[nodiscard]] Of<std::string> server_json(const Ask &ask = {}) const { return asked(plexindex_server_json, ask); }
    /// What a path of the server is called on this machine, by the mappings.
    [[nodiscard]] Of<std::string> host_path(PathRef path) const {
        return this->text([&](plexindex_buffer *host, plexindex_buffer *error) {
            return plexindex_host_path(this->handle(), path.bytes().data(), path.bytes().size(), host, error);
        });
    }
    /// What kind of place the store is in, as JSON.
    [[nodiscard]] Of<std::string> store_json() const {
        return this->text([&](plexindex_buffer *json, plexindex_buffer *error) {
            return plexindex_store_json(this->handle(), json, error);
        });
    }
    /// Mappings that seem to be missing, as JSON.
    [[nodiscard]] Of<std::string> proposals_json() const {
        return this->text([&](plexindex_buffer *json, plexindex_buffer *error) {
            return plexindex_proposals_json(this->handle(), json, error);
        });
    }

private:
    using Asked = std::int32_t (*)(const plexindex_handle *, const plexindex_query *, plexindex_buffer *, plexindex_buffer *);

    explicit BasicIndex(std::shared_ptr<detail::Opened> opened) noexcept : Base(std::move(opened)) {}

    /// NULL is all tables.
    Of<Table> table_of(const char *name, std::size_t length, bool fold) const {
        detail::Failure failure;
        const plexindex_table_handle *table = nullptr;
        const std::int32_t status =
            plexindex_table(this->handle(), name, length, fold ? PLEXINDEX_TABLE_FOLD_ASCII : 0, &table, failure.buffer());
        return this->given(status, failure, Table(this->opened_, table));
    }

    Of<std::string> asked(Asked function, const Ask &ask) const {
        detail::Failure failure;
        detail::Query query(nullptr, {}, ask);
        std::string text;
        const std::int32_t status = detail::fill(text, [&](plexindex_buffer *json) {
            return function(this->handle(), &query.raw, json, failure.buffer());
        });
        query.rethrow();
        return this->given(status, failure, std::move(text));
    }
};

/// @cond
namespace detail {

template <class Policy>
typename Policy::template Of<std::vector<Relation>> compare_paths(PathRef path, const Paths &others) {
    static_assert(sizeof(Relation) == sizeof(std::uint32_t), "as C has it");
    Failure failure;
    std::vector<Relation> relations(others.size() + 1); // one more, so that there is always a first
    const std::string_view text = path.bytes(), block = others.text();
    const std::int32_t status = plexindex_compare_paths(text.data(), text.size(), block.data(), block.size(), others.size(),
                                                        &relations.data()->bits, failure.buffer());
    relations.pop_back();
    if (status >= first_error) return Policy::template failed<std::vector<Relation>>(failure.error(status));
    return typename Policy::template Of<std::vector<Relation>>(std::move(relations));
}

template <class Function> void drain_log(const Function &function) {
    using Lines = Callback<Function>;
    Lines lines(function);
    plexindex_drain_log(
        [](void *user, std::int32_t level, const char *message, std::size_t length) {
            (*static_cast<Lines *>(user))(static_cast<LogLevel>(level), std::string_view(message, length));
        },
        &lines, nullptr);
    lines.rethrow();
}

} // namespace detail
/// @endcond

/// Hands the log lines that wait to `function(LogLevel, std::string_view)`, oldest first, on this thread. What it throws is
/// thrown when all lines are taken; those behind that line are lost.
template <class Function> void drain_log(const Function &function) { detail::drain_log(function); }

#if defined(__cpp_exceptions) || defined(DOXYGEN)
/// An open index. Errors are exceptions.
using Index = BasicIndex<detail::Throws>;
/// A library of it.
using Library = BasicLibrary<detail::Throws>;
/// A table of it.
using Table = BasicTable<detail::Throws>;
/// Changes of its tables.
using Write = BasicWrite<detail::Throws>;
/// The items of a library.
using Pages = BasicPages<detail::Throws>;
/// The items with files below a folder.
using PagesBelow = BasicPagesBelow<detail::Throws>;

/// Compares one path with others, as the index does: one relation each.
[[nodiscard]] inline std::vector<Relation> compare_paths(PathRef path, const Paths &others) {
    return detail::compare_paths<detail::Throws>(path, others);
}
#endif

/// The same, where each call that can fail gives a plexindex::Result. This is all there is without exceptions.
namespace results {
/// An open index. Errors are values.
using Index = BasicIndex<detail::Returns>;
/// A library of it.
using Library = BasicLibrary<detail::Returns>;
/// A table of it.
using Table = BasicTable<detail::Returns>;
/// Changes of its tables.
using Write = BasicWrite<detail::Returns>;
/// The items of a library.
using Pages = BasicPages<detail::Returns>;
/// The items with files below a folder.
using PagesBelow = BasicPagesBelow<detail::Returns>;

/// Compares one path with others, as the index does: one relation each.
[[nodiscard]] inline Result<std::vector<Relation>> compare_paths(PathRef path, const Paths &others) {
    return detail::compare_paths<detail::Returns>(path, others);
}
} // namespace results

} // namespace plexindex

#if defined(__cpp_lib_ranges)
/// @cond
template <> inline constexpr bool std::ranges::enable_borrowed_range<plexindex::Candidates> = true;
template <> inline constexpr bool std::ranges::enable_view<plexindex::Candidates> = true;
/// @endcond
#endif

#endif // PLEXINDEX_HPP

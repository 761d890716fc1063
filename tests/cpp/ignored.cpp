// A call that can fail and whose Result is ignored: the compiler warns of each line that ends with `// warns`, and of
// no other line. This Result is that of the header, or std::expected, which may be ignored.
#if __cplusplus > 202002L
#include <expected>
#if defined(__cpp_lib_expected) && __cpp_lib_expected < 202211L // that of gcc 12, which is enough for this
#undef __cpp_lib_expected
#define __cpp_lib_expected 202211L
#endif
#endif
#include <plexindex.hpp>

namespace px = plexindex;

void ignored(px::results::Index &index, const px::results::Library &movies, const px::results::Table &table) {
    std::string text;
    px::Match match;
    px::Answers answers;
    px::Keys keys;
    index.close();                          // warns
    index.write({});                        // warns
    index.set_token("");                    // warns
    index.wake_waiting();                   // warns
    index.clear();                          // warns
    index.watch_start();                    // warns
    index.watch_stop();                     // warns
    index.notify("");                       // warns
    movies.match("");                       // warns
    movies.match_into(match, "");           // warns
    movies.match_paths_into(answers, {});   // warns
    movies.lookup_keys_into(keys, {});      // warns
    movies.record_match("", "");            // warns
    movies.record_matches({}, {});          // warns
    movies.invalidate_path("");             // warns
    movies.invalidate_item("");             // warns
    movies.invalidate();                    // warns
    movies.refresh();                       // warns
    movies.wait_for_changes("");            // warns
    movies.edit_items({});                  // warns
    table.get_into(text, "");               // warns
    table.put("", "");                      // warns
    table.remove("");                       // warns
    table.clear();                          // warns
    table.lookup_into(text, "");
    movies.lookup_key_into(text, "");
}

// What throws its errors may be ignored.
void thrown(px::Index &index, const px::Library &movies, const px::Table &table) {
    std::string text;
    px::Match match;
    index.close();
    movies.invalidate();
    movies.match_into(match, "");
    movies.refresh(px::RefreshMode::full);
    movies.wait_for_changes("");
    table.get_into(text, "");
    table.put("", "");
}

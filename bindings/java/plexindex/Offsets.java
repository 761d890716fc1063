// Made from include/plexindex.json by `make header`, for 64 bits.
package plexindex;

/** Where the fields of a block lie: JNA takes ten times as long to read them as structs. */
final class Offsets {
    private Offsets() { }

    static final int ANSWERS_SIZE = 0;
    static final int ANSWERS_ANSWER_SIZE = 4;
    static final int ANSWERS_ITEM_SIZE = 8;
    static final int ANSWERS_COUNT = 12;
    static final int ANSWERS_FIRST = 16;
    static final int ANSWERS_LOG_LINES = 20;
    static final int ANSWER_STATUS = 0;
    static final int ANSWER_MATCH_KIND = 4;
    static final int ANSWER_CONFIDENCE = 5;
    static final int ANSWER_REASON = 6;
    static final int ANSWER_FLAGS = 7;
    static final int ANSWER_ITEM = 8;
    static final int ANSWER_CANDIDATES = 12;
    static final int ANSWER_CANDIDATES_COUNT = 16;
    static final int ANSWER_CANDIDATES_TOTAL = 20;
    static final int ANSWER_MESSAGE = 24;
    static final int ANSWER_AGE_MS = 32;
    static final int ITEM_KEY = 0;
    static final int ITEM_RATING_KEY = 8;
    static final int ITEM_TITLE = 16;
    static final int ITEM_GUID = 24;
    static final int ITEM_SHOW_TITLE = 32;
    static final int ITEM_SHOW_RATING_KEY = 40;
    static final int ITEM_SHOW_GUID = 48;
    static final int ITEM_PATH = 56;
    static final int ITEM_SECTION = 64;
    static final int ITEM_LIBRARY_TITLE = 72;
    static final int ITEM_KIND = 80;
    static final int ITEM_YEAR = 84;
    static final int ITEM_SEASON = 88;
    static final int ITEM_EPISODE = 92;
    static final int ITEM_FLAGS = 96;
    static final int ITEM_RESERVED = 100;
}

package plexindex;

import com.sun.jna.Pointer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

/**
 * The answer for one path, folder, GUID or title. {@code item} is null if there is no single one; {@code message} says
 * why; {@code age} is null if it is not known. {@code items}, {@code files} and {@code kind} are of a folder: 0 and OTHER
 * in every other answer, and where no folder is known.
 */
public record Answer(
    Status status, MatchKind matchKind, Confidence confidence, Reason reason, boolean stale, Item item, List<Item> candidates,
    int candidatesTotal, String message, Duration age, long items, long files, Kind kind) {

    static List<Answer> all(Pointer block) {
        int count = block.getInt(Offsets.ANSWERS_COUNT);
        long first = first(block), size = unsigned(block, Offsets.ANSWERS_ANSWER_SIZE);
        List<Answer> answers = new ArrayList<>(count);
        for (long place = 0; place < count; place++) answers.add(of(block, first + place * size));
        return answers;
    }

    /** Where the first answer begins. */
    static long first(Pointer block) { return unsigned(block, Offsets.ANSWERS_FIRST); }

    /** Where the candidates of an answer begin. */
    static List<Long> candidates(Pointer block, long at) {
        long first = unsigned(block, at + Offsets.ANSWER_CANDIDATES), size = unsigned(block, Offsets.ANSWERS_ITEM_SIZE);
        return LongStream.range(0, unsigned(block, at + Offsets.ANSWER_CANDIDATES_COUNT)).mapToObj(place -> first + place * size).toList();
    }

    private static long unsigned(Pointer block, long at) { return Integer.toUnsignedLong(block.getInt(at)); }

    private static Answer of(Pointer block, long at) {
        long item = unsigned(block, at + Offsets.ANSWER_ITEM), age = block.getLong(at + Offsets.ANSWER_AGE_MS);
        return new Answer(
            Status.of(block.getInt(at + Offsets.ANSWER_STATUS)), MatchKind.of(block.getByte(at + Offsets.ANSWER_MATCH_KIND)),
            Confidence.of(block.getByte(at + Offsets.ANSWER_CONFIDENCE)), Reason.of(block.getByte(at + Offsets.ANSWER_REASON)),
            (block.getByte(at + Offsets.ANSWER_FLAGS) & Abi.ANSWER_STALE) != 0, item == 0 ? null : Item.of(block, item),
            candidates(block, at).stream().map(one -> Item.of(block, one)).toList(), block.getInt(at + Offsets.ANSWER_CANDIDATES_TOTAL),
            Texts.of(block, at + Offsets.ANSWER_MESSAGE), age < 0 ? null : Duration.ofMillis(age),
            block.getLong(at + Offsets.ANSWER_ITEMS), block.getLong(at + Offsets.ANSWER_FILES), Kind.of(block.getInt(at + Offsets.ANSWER_KIND)));
    }
}

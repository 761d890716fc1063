package plexindex;

import com.sun.jna.Pointer;
import java.time.Duration;
import java.util.List;
import java.util.stream.LongStream;

/**
 * The answer for one path. {@code item} is null if there is no single one; {@code message} says why; {@code age} is null
 * if it is not known.
 */
public record Answer(
    Status status, MatchKind matchKind, Confidence confidence, Reason reason, boolean stale, Item item, List<Item> candidates,
    int candidatesTotal, String message, Duration age) {

    static List<Answer> all(Pointer block) {
        return places(block, 0, Offsets.ANSWERS_FIRST, Offsets.ANSWERS_COUNT, Offsets.ANSWERS_ANSWER_SIZE)
            .mapToObj(at -> of(block, at)).toList();
    }

    /** Where the structs of an array begin: a struct has its begin and its count, and the block the size of one. */
    private static LongStream places(Pointer block, long at, long first, long count, long size) {
        long begin = unsigned(block, at + first), step = unsigned(block, size);
        return LongStream.range(0, unsigned(block, at + count)).map(place -> begin + place * step);
    }

    private static long unsigned(Pointer block, long at) { return Integer.toUnsignedLong(block.getInt(at)); }

    private static Answer of(Pointer block, long at) {
        long item = unsigned(block, at + Offsets.ANSWER_ITEM), age = block.getLong(at + Offsets.ANSWER_AGE_MS);
        return new Answer(
            Status.of(block.getInt(at + Offsets.ANSWER_STATUS)), MatchKind.of(block.getByte(at + Offsets.ANSWER_MATCH_KIND)),
            Confidence.of(block.getByte(at + Offsets.ANSWER_CONFIDENCE)), Reason.of(block.getByte(at + Offsets.ANSWER_REASON)),
            (block.getByte(at + Offsets.ANSWER_FLAGS) & Abi.ANSWER_STALE) != 0, item == 0 ? null : Item.of(block, item),
            places(block, at, Offsets.ANSWER_CANDIDATES, Offsets.ANSWER_CANDIDATES_COUNT, Offsets.ANSWERS_ITEM_SIZE)
                .mapToObj(one -> Item.of(block, one)).toList(), block.getInt(at + Offsets.ANSWER_CANDIDATES_TOTAL),
            Texts.of(block, at + Offsets.ANSWER_MESSAGE), age < 0 ? null : Duration.ofMillis(age));
    }
}

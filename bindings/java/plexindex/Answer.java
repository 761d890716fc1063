package plexindex;

import com.sun.jna.Pointer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The answer for one path, folder, GUID or title. {@code item} is null if there is no single one; {@code message} says
 * why; {@code age} is null if it is not known. {@code items}, {@code files} and {@code kind} are of a folder.
 */
public record Answer(
    Status status, MatchKind matchKind, Confidence confidence, Reason reason, boolean stale, Item item, List<Item> candidates,
    int candidatesTotal, String message, Duration age, long items, long files, Kind kind) {

    static List<Answer> all(Abi abi, Abi.Buffer block) {
        List<Answer> answers = new ArrayList<>();
        Pointer at;
        for (long place = 0; (at = abi.plexindex_get_answer(block, place)) != null; place++) answers.add(of(abi, block, at));
        return answers;
    }

    private static Answer of(Abi abi, Abi.Buffer block, Pointer at) {
        Abi.Answer answer = new Abi.Answer(at);
        List<Item> candidates = new ArrayList<>();
        Pointer one = abi.plexindex_get_item(block, at);
        Item item = one == null ? null : Item.of(block, new Abi.Item(one));
        for (long place = 0; (one = abi.plexindex_get_candidate(block, at, place)) != null; place++)
            candidates.add(Item.of(block, new Abi.Item(one)));
        return new Answer(
            Status.of(answer.status), MatchKind.of(answer.match_kind), Confidence.of(answer.confidence), Reason.of(answer.reason),
            (answer.flags & Abi.ANSWER_STALE) != 0, item, List.copyOf(candidates), answer.candidates_total,
            Texts.of(block, answer.message), answer.age_ms < 0 ? null : Duration.ofMillis(answer.age_ms),
            answer.items, answer.files, Kind.of(answer.kind));
    }
}

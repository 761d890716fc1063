package plexindex;

import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** How far a fetch has come. {@code total} is 0 when the server does not say; {@code library} is empty while the call waits for something else. */
public record Progress(String library, long items, long total, Duration elapsed) {
    static Progress of(Abi.Progress at) {
        byte[] title = at.library.length == 0 ? new byte[0] : at.library.data.getByteArray(0, (int) at.library.length);
        return new Progress(new String(title, StandardCharsets.UTF_8), at.items, at.total, Duration.ofMillis(at.elapsed_ms));
    }
}

use super::GuidRef;

#[test]
fn each_byte_of_a_guid_is_shown() {
    for byte in 0..=255_u8 {
        let id = std::array::from_fn(|at| byte.wrapping_add(u8::try_from(at * 37 % 256).unwrap_or(0)));
        let shown = String::from(GuidRef::Plex {
            prefix: "plex://movie/",
            id,
        });
        let digits = id.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(shown, format!("plex://movie/{digits}"));
    }
}

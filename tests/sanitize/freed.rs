//! Reads what was freed: Miri has to see it.

fn main() {
    let freed = {
        let value = Box::new(7_u8);
        &raw const *value
    };
    // SAFETY: none. This is the mistake.
    std::process::exit(i32::from(unsafe { *freed } == 7));
}

use super::*;

#[test]
fn added_hashes_are_found_and_false_positives_are_rare() {
    let filter = BloomFilter::new(10_000);
    let hash = |n: u32| n.wrapping_mul(0x9E37_79B1).rotate_left(7);
    (0..20_000).for_each(|n| filter.add(hash(n)));
    assert!(filter.is_too_small(1 << 14) && !filter.is_too_small(0));
    assert!((0..20_000).all(|n| filter.may_have(hash(n))));
    let wrong = (20_000..120_000).filter(|n| filter.may_have(hash(*n))).count();
    assert!(wrong < 4_000, "{wrong} of 100,000");
}

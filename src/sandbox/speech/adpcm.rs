//! Decodes IMA ADPCM without a header, as `sox -t ima` writes it: 4 bits a sample, the high half of a byte first.

#[rustfmt::skip]
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
    130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
    1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
    7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
];

/// Returns the samples.
pub(super) fn decode(bytes: &[u8]) -> Vec<i16> {
    let (mut value, mut step) = (0_i32, 0_usize);
    let mut samples = Vec::with_capacity(bytes.len() * 2);
    for code in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        let magnitude = code & 7;
        let change = (STEPS[step] * (2 * i32::from(magnitude) + 1)) >> 3;
        value = if code & 8 == 0 { value + change } else { value - change };
        value = value.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        step = match magnitude {
            0..4 => step.saturating_sub(1),
            _ => (step + 2 * usize::from(magnitude - 3)).min(STEPS.len() - 1),
        };
        // It was clamped to the range of a sample.
        samples.push(value as i16);
    }
    samples
}

//! exp, log and sigmoid in f32, from fused multiply-add, multiply, add, divide and bit operations
//! only, so that any IEEE machine gives the same bits. Branch-free: loops over them vectorise.
//! Accuracy is about one unit in the last place (tested against f64).

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts; the high one has 9 trailing zero bits, so n * LN2_HI is exact for |n| < 512.
const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
const LN2_LO: f32 = (std::f64::consts::LN_2 - LN2_HI as f64) as f32;
/// 1.5 * 2^23: adding it rounds to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

/// e^x. Above 88.73 it is infinity, below -103.98 zero; NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_HI, x);
    let r = n.mul_add(-LN2_LO, r);
    // Taylor to degree 7 on |r| <= 0.347: relative error below 6e-9.
    let p = (1.0f32 / 5040.0).mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    // 2^n in two exact steps, so that results below the normal range round only once.
    let e = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = e >> 1;
    let rest = e.wrapping_sub(half);
    let pow = |k: i32| f32::from_bits((k.wrapping_add(127) as u32) << 23);
    p * pow(half) * pow(rest)
}

/// Natural logarithm. Zero gives -infinity, negative numbers and NaN give NaN.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits();
    // m in [0.7071, 1.4142), e so that scaled = m * 2^e
    let shift = bits.wrapping_sub(0x3f35_04f3);
    let e = (shift as i32) >> 23;
    let m = f32::from_bits((shift & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let e = e as f32 - if tiny { 23.0 } else { 0.0 };
    // ln m = 2 atanh(s), s = (m - 1) / (m + 1)
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    let p = (1.0f32 / 9.0).mul_add(z, 1.0 / 7.0);
    let p = p.mul_add(z, 0.2);
    let p = p.mul_add(z, 1.0 / 3.0);
    let tail = z * p;
    // 2 s (1 + tail) = f - s (f - 2 tail): keeps the leading term exact
    let log_m = f - s * (f - 2.0 * tail);
    let out = e.mul_add(LN2_HI, e.mul_add(LN2_LO, log_m));
    let out = if x == f32::INFINITY { f32::INFINITY } else { out };
    let out = if x == 0.0 { f32::NEG_INFINITY } else { out };
    if x < 0.0 || x.is_nan() { f32::NAN } else { out }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Any NaN becomes the one with bits 0x7fc00000; everything else stays.
#[inline(always)]
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulp(x: f64) -> f64 {
        let f = x.abs() as f32;
        f64::from(f32::from_bits(f.to_bits() + 1)) - f64::from(f)
    }

    #[test]
    fn exp_is_within_one_unit_in_the_last_place() {
        let mut worst = 0f64;
        for i in -208_000..=177_000 {
            let x = i as f32 * 0.0005;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - want).abs() / ulp(want));
        }
        assert!(worst < 1.0, "worst error {worst} ulp");
    }

    #[test]
    fn exp_has_the_right_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-104.5), 0.0);
        assert!(exp(-100.0) > 0.0, "the subnormal range is not flushed");
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_within_one_and_a_half_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in 1..400_000u32 {
            let x = f32::from_bits(i.wrapping_mul(5_347) % 0x7f80_0000);
            if x == 0.0 {
                continue;
            }
            let want = f64::from(x).ln();
            worst = worst.max((f64::from(ln(x)) - want).abs() / ulp(want));
        }
        assert!(worst < 1.5, "worst error {worst} ulp");
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f32::NEG_INFINITY);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!(ln(-1.0).is_nan());
    }

    #[test]
    fn sigmoid_is_symmetric_and_saturates() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(200.0), 1.0);
        assert_eq!(sigmoid(-200.0), 0.0);
    }
}

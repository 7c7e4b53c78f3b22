//! exp, ln, sin and cos in f64 for tables computed once (RoPE, learning-rate curve): basic IEEE
//! operations only. Not fast, not needed to be.

/// ln 2 in two parts; the high one has 21 trailing zero bits.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
/// pi/2 in three parts of about 33 bits, so that n * PART is exact for |n| < 2^20.
const PIO2_1: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
const PIO2_2: f64 = f64::from_bits(0x3dd0_b461_1a60_0000);
const PIO2_3: f64 = f64::from_bits(0x3ba3_198a_2e03_7073);

/// e^x for |x| < 700.
pub fn exp(x: f64) -> f64 {
    let n = (x * std::f64::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-LN2_LO, n.mul_add(-LN2_HI, x));
    let mut p = 1.0;
    for i in (1..=14).rev() {
        p = (p * r / f64::from(i)) + 1.0;
    }
    p * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

/// Natural logarithm of a positive normal number.
pub fn ln(x: f64) -> f64 {
    let shift = x.to_bits().wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let e = ((shift as i64) >> 52) as f64;
    let m = f64::from_bits((shift & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 0.0;
    for i in (0..=12).rev() {
        p = f64::mul_add(p, z, 1.0 / f64::from(2 * i + 1));
    }
    e.mul_add(LN2_HI, e.mul_add(LN2_LO, 2.0 * s * p))
}

/// base^power for a positive base.
pub fn pow(base: f64, power: f64) -> f64 {
    exp(power * ln(base))
}

/// (sin x, cos x) for |x| < 1e6.
pub fn sin_cos(x: f64) -> (f64, f64) {
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let r = n.mul_add(-PIO2_3, n.mul_add(-PIO2_2, n.mul_add(-PIO2_1, x)));
    let z = r * r;
    let (mut s, mut c) = (1.0, 1.0);
    for i in (1..=9).rev() {
        let k = f64::from(2 * i);
        s = 1.0 - s * z / (k * (k + 1.0));
        c = 1.0 - c * z / (k * (k - 1.0));
    }
    s *= r;
    match (n as i64).rem_euclid(4) {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_agree_with_the_library_to_fifteen_digits() {
        for i in 1..20_000 {
            let x = f64::from(i) * 0.41;
            let (s, c) = sin_cos(x);
            assert!((s - x.sin()).abs() < 4e-16, "sin {x}: {s}");
            assert!((c - x.cos()).abs() < 4e-16, "cos {x}: {c}");
            assert!((ln(x) - x.ln()).abs() < 2e-15 * x.ln().abs().max(1.0), "ln {x}");
            let y = f64::from(i) * 0.002 - 20.0;
            assert!((exp(y) / y.exp() - 1.0).abs() < 4e-16, "exp {y}");
        }
        assert!((pow(10_000.0, -0.25) - 0.1).abs() < 1e-16);
    }
}

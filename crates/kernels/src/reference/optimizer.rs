//! Optimizer steps, with Keras 3's formulas.

/// Stochastic gradient descent; `momentum` 0 is plain descent.
///
/// ```text
/// m = momentum m - lr g
/// w = w + m                      without Nesterov
/// w = w + momentum m - lr g      with
/// ```
pub fn sgd(
    weights: &mut [f64],
    m: &mut [f64],
    gradient: &[f64],
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
) {
    for ((w, m), g) in weights.iter_mut().zip(m).zip(gradient) {
        *m = momentum * *m - learning_rate * g;
        *w += if nesterov { momentum * *m - learning_rate * g } else { *m };
    }
}

/// RMSprop.
///
/// ```text
/// v = rho v + (1 - rho) g²
/// w = w - lr g / sqrt(v + epsilon)
/// ```
pub fn rmsprop(
    weights: &mut [f64],
    v: &mut [f64],
    gradient: &[f64],
    learning_rate: f64,
    rho: f64,
    epsilon: f64,
) {
    for ((w, v), g) in weights.iter_mut().zip(v).zip(gradient) {
        *v = rho * *v + (1.0 - rho) * g * g;
        *w -= learning_rate * g / (*v + epsilon).sqrt();
    }
}

/// Adam, step `t` counted from 1.
///
/// ```text
/// m = m + (g - m) (1 - beta_1)
/// v = v + (g² - v) (1 - beta_2)
/// w = w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)
/// ```
pub fn adam(
    weights: &mut [f64],
    m: &mut [f64],
    v: &mut [f64],
    gradient: &[f64],
    t: u32,
    learning_rate: f64,
    [beta_1, beta_2]: [f64; 2],
    epsilon: f64,
) {
    let t = f64::from(t);
    let alpha = learning_rate * (1.0 - beta_2.powf(t)).sqrt() / (1.0 - beta_1.powf(t));
    for (((w, m), v), g) in weights.iter_mut().zip(m).zip(v).zip(gradient) {
        *m += (g - *m) * (1.0 - beta_1);
        *v += (g * g - *v) * (1.0 - beta_2);
        *w -= alpha * *m / (v.sqrt() + epsilon);
    }
}

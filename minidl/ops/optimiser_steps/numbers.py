"""What the fast kernels multiply with: worked out once, in float64, instead of for each number of a parameter."""


def rmsprop_numbers(learning_rate: float, decay: float, eps: float) -> tuple[float, ...]:
    """(learning_rate, decay, share, eps)"""
    return learning_rate, decay, 1 - decay, eps


def adam_numbers(
    learning_rate: float, betas: tuple[float, float], eps: float, weight_decay: float, step: int
) -> tuple[float, ...]:
    """(rate, beta1, share1, beta2, share2, square_correction, eps, kept)"""
    rate, square_correction = learning_rate / (1 - betas[0] ** step), 1 - betas[1] ** step
    kept = 1 - learning_rate * weight_decay
    return rate, betas[0], 1 - betas[0], betas[1], 1 - betas[1], square_correction, eps, kept

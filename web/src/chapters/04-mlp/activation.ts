// The activation functions of the models the engine runs, in double precision.
const erf = (x: number): number => {
  // Abramowitz and Stegun 7.1.26: good to 1.5e-7, finer than a pixel.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return x >= 0 ? y : -y;
};

export function activationOf(name: string): (x: number) => number {
  switch (name) {
    case 'relu':
      return (x) => Math.max(0, x);
    case 'silu':
    case 'swiglu':
      return (x) => x / (1 + Math.exp(-x));
    case 'gelu':
    case 'gelu_erf':
      return (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
    default:
      return (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  }
}

/* Loaded before PyTorch: its MKL then takes the fast path that it keeps for Intel's processors on any with AVX2. */
int mkl_serv_intel_cpu_true(void) { return 1; }

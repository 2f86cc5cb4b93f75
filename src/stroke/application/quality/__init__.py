"""How good the model is: performance against outcomes, calibration, drift."""

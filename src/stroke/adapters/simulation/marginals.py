"""How measurements are spread in the population that is simulated.

Source: the marginals of the public stroke data set (fedesoriano, "Stroke Prediction Dataset",
Kaggle, 2021: 5,110 patients), by decade of age, typed in here; the file itself is never read.
Its rows without a BMI are left out of the BMI columns.
"""

from __future__ import annotations

from typing import Final

# Ages at the quantiles 0, 0.05, ... 1. The last is raised from 82: the file stops there.
AGE_QUANTILES: Final = (
    0.1,
    5,
    11,
    16,
    20,
    25,
    30,
    34,
    38,
    41,
    45,
    48,
    51,
    54,
    57,
    61,
    65,
    69,
    75,
    80,
    96,
)

# Every table below has one row per decade of age: 0-9, 10-19, ... 60-69, 70 and over.
DECADES: Final = 8

HYPERTENSION: Final = (0.000, 0.004, 0.016, 0.040, 0.067, 0.139, 0.176, 0.248)
HEART_DISEASE: Final = (0.002, 0.000, 0.002, 0.002, 0.016, 0.056, 0.106, 0.196)

# Given their age, men have about twice the women's share of heart disease, and hypertension
# rises from 0.7 to 1.3 times its decade's share over the quarters of BMI.
HEART_DISEASE_OF_MEN: Final = 1.4
HEART_DISEASE_OF_WOMEN: Final = 0.7
HYPERTENSION_BY_BMI_QUARTER: Final = (0.7, 0.9, 1.1, 1.3)

# Shares of never smoked, formerly smoked, smokes; what is left is Unknown (all children).
SMOKING: Final = (
    (0.000, 0.000, 0.000),
    (0.379, 0.059, 0.038),
    (0.466, 0.117, 0.204),
    (0.440, 0.136, 0.220),
    (0.407, 0.168, 0.218),
    (0.392, 0.230, 0.197),
    (0.367, 0.271, 0.179),
    (0.409, 0.291, 0.106),
)

QUANTILES: Final = (0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
GLUCOSE: Final = (  # mg/dL
    (55.4, 60.4, 76.2, 89.3, 107.6, 124.4, 143.3, 170.8, 206.2),
    (55.3, 60.9, 76.6, 89.4, 110.7, 129.4, 143.0, 197.5, 233.7),
    (55.1, 59.6, 74.2, 88.5, 105.3, 127.7, 149.9, 200.2, 256.7),
    (55.3, 61.1, 76.0, 88.5, 106.3, 137.1, 177.3, 231.9, 255.0),
    (55.2, 60.3, 76.1, 91.0, 110.5, 146.2, 196.4, 223.3, 267.8),
    (55.3, 62.6, 79.2, 94.6, 122.5, 206.7, 223.9, 240.7, 253.9),
    (55.2, 60.7, 79.6, 95.9, 151.2, 213.4, 230.8, 254.0, 271.7),
    (55.3, 60.6, 78.9, 98.4, 185.8, 219.8, 231.8, 251.8, 267.6),
)
BMI: Final = (  # kg/m²
    (10.3, 14.5, 16.7, 18.3, 20.1, 22.7, 25.5, 33.2, 35.0),
    (13.7, 16.7, 20.6, 23.4, 27.6, 33.0, 38.5, 46.1, 97.6),
    (16.6, 20.0, 23.1, 26.8, 31.1, 37.6, 41.2, 54.6, 78.0),
    (15.7, 21.4, 25.4, 29.7, 35.7, 42.1, 45.2, 54.0, 92.0),
    (11.5, 21.4, 25.5, 30.0, 35.6, 41.8, 46.0, 56.0, 71.9),
    (16.0, 21.8, 27.0, 30.5, 35.3, 41.4, 44.1, 55.2, 66.8),
    (14.1, 21.9, 26.8, 30.1, 34.7, 39.1, 42.4, 52.0, 60.2),
    (11.3, 21.3, 25.4, 28.5, 32.4, 35.7, 39.1, 45.1, 54.6),
)
# Share of patients whose glucose stands at the same quantile as their BMI: gives the rank
# correlation of about 0.15 that the adults of the file have.
GLUCOSE_FOLLOWS_BMI: Final = 0.15

# Shares of Female, Male; what is left is Other.
GENDERS: Final = (0.5857, 0.4138)

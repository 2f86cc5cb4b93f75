"""The yardstick of bench/service.py: FastAPI as its tutorial writes it, and no work behind it.

Same request and response models and same server settings as the service; no database, no model,
no middleware. Usage: python bench/bare.py PORT
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from stroke.entrypoints.api.schemas.patients import PatientIn
from stroke.entrypoints.api.schemas.predictions import ContributionOut, PredictionOut
from stroke.entrypoints.logs import configuration

FEATURES = (
    "age",
    "avg_glucose_level",
    "bmi",
    "smoking_status",
    "hypertension",
    "heart_disease",
    "gender",
)

app = FastAPI()


@app.post("/predict")
async def predict(patient: PatientIn) -> PredictionOut:  # noqa: ARG001 - it is parsed, no more
    return PredictionOut(
        probability=0.05,
        risk_category="Medium",
        contributing_factors=["age", "avg_glucose_level", "bmi"],
        prediction_id=1,
        explanation=[
            ContributionOut(feature=f, value=1.0, log_odds=0.1, direction="raises")
            for f in FEATURES
        ],
        model_version="1.0.0",
    )


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=configuration(),
        access_log=False,
        server_header=False,
    )

"""Who a log line, a CPU sample or a latency sample belongs to.

Every observation carries `namespace, model, predictor, pod, container, node`. The model is a SeldonDeployment
(Seldon Core v1) or a server (v2), found from the pod's labels; a plain pod has an empty model and works all
the same.

Label sources: Seldon Core v1 `operator/constants/constants.go` (`seldon-deployment-id`, `seldon-app`,
`version`), Seldon Core v2 `operator/pkg/constants/constants.go` (`seldon-server-name`). Filebeat's dedot leaves
these four names as they are, since none of them has a dot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MODEL_LABEL_V1 = "seldon-deployment-id"
APP_LABEL_V1 = "seldon-app"
PREDICTOR_LABEL_V1 = "version"
MODEL_LABEL_V2 = "seldon-server-name"


@dataclass(frozen=True, slots=True)
class Identity:
    """The six labels on everything; an unknown one is the empty string."""

    namespace: str = ""
    model: str = ""
    predictor: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""


def model_and_predictor(labels: Mapping[str, str]) -> tuple[str, str]:
    """Return (model, predictor) of a pod with these labels; ("", "") for a pod that serves no model.

    A v1 predictor is the label `version`; where that is missing, `seldon-app` is `<model>-<predictor>` unless
    the Service was renamed or hashed.
    """
    model = labels.get(MODEL_LABEL_V1, "")
    if not model:
        return labels.get(MODEL_LABEL_V2, ""), ""
    predictor = labels.get(PREDICTOR_LABEL_V1, "")
    app = labels.get(APP_LABEL_V1, "")
    if not predictor and app.startswith(f"{model}-"):
        predictor = app[len(model) + 1 :]
    return model, predictor

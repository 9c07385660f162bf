"""From a training run to a model that others can use."""

from speechbrain_kd.export.model_card import ModelCard, TeacherFacts, model_card
from speechbrain_kd.export.nodes import (
    constructor_nodes,
    required_packages,
    top_level_values,
)
from speechbrain_kd.export.parity import check_parity
from speechbrain_kd.export.speechbrain_folder import (
    ExportSpec,
    export_speechbrain,
)

__all__ = [
    "ExportSpec",
    "ModelCard",
    "TeacherFacts",
    "check_parity",
    "constructor_nodes",
    "export_speechbrain",
    "model_card",
    "required_packages",
    "top_level_values",
]

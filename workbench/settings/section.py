"""What all sections of a profile have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all parts of a profile: frozen, unknown keys are errors, values stay out of pydantic's errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

"""Fields of other servers that this one cannot honour: accepted only with a value that asks for nothing."""

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def only(*neutral: object) -> AfterValidator:
    """Accepts null and the given values, which clients send as defaults; any other is refused with a 400."""

    def check(value: object) -> object:
        if value in (None, *neutral):
            return value
        raise PydanticCustomError("unsupported_value", "this server does not support it; leave it out")

    return AfterValidator(check)

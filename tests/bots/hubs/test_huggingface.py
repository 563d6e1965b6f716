"""Downloads from mirrors of Hugging Face."""

from pathlib import Path

import pytest

from bots.hubs.huggingface import HuggingFace
from bots.model import pull
from tests.bots.fake_hub import HubModel, fake_hub_with_requests
from tests.bots.tiny_model import TINY_FILES

TINY = HubModel(id="org/tiny", files=TINY_FILES)


def test_a_mirror_gets_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token for Hugging Face is not sent to a mirror that is named for one download."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with fake_hub_with_requests(TINY) as (endpoint, requests):
        pull(TINY.id, tmp_path, HuggingFace(endpoint))
    assert requests
    assert not [request for request in requests if "authorization" in request.headers]

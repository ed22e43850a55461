"""The guard that keeps tests off the network."""

import os
import socket

import pytest


def test_a_connection_that_would_leave_the_machine_is_refused() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"203\.0\.113\.1"):
        outside.connect(("203.0.113.1", 80))


def test_a_connection_within_the_machine_is_allowed() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen(1)

        client.connect(server.getsockname())

        assert client.getpeername() == server.getsockname()


def test_hugging_face_libraries_are_told_to_stay_offline() -> None:
    from huggingface_hub import constants

    assert os.environ["HF_DATASETS_OFFLINE"] == "1"
    assert constants.HF_HUB_OFFLINE is True

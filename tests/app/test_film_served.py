"""The app serves the pictures of a run's film, and nothing else."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from icm.runs.run import SHIPPED, Run
from icm.runs.store import shipped


def fetch(address: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by name in lower case, and body of the answer."""
    try:
        with urlopen(address) as answer:
            return answer.status, {name.lower(): said for name, said in answer.headers.items()}, answer.read()
    except HTTPError as error:
        return error.code, {}, error.read()


def test_the_app_serves_a_picture_that_may_be_kept_for_ever(server: str, trained: Run) -> None:
    status, headers, content = fetch(f"{server}/film/{trained.id}/{trained.version}/000005.webp")
    assert status == 200
    assert headers["content-type"] == "image/webp"
    assert "immutable" in headers["cache-control"]
    assert content == trained.film.picture("000005")


@pytest.mark.parametrize(
    "address",
    [
        "{run}/{version}/000007.webp",  # no such step
        "{run}/{version}/5.webp",
        "{run}/1/000005.webp",  # another run of that name, made before
        "gone/{version}/000005.webp",
        "{run}/{version}/..%2Fconfig.webp",
        "..%2F{run}/{version}/000005.webp",
        "{run}/{version}/secret.webp",
    ],
)
def test_the_app_serves_nothing_else(server: str, trained: Run, address: str) -> None:
    (trained.film.folder / "secret.webp").write_bytes(b"not for everybody")
    outside = trained.folder.parent / "outside.webp"
    outside.write_bytes(b"not for everybody")
    (trained.film.folder / "000007.webp").symlink_to(outside)
    status, _, content = fetch(f"{server}/film/" + address.format(run=trained.id, version=trained.version))
    assert status in (400, 404)  # 400 is the server's own refusal of such a path
    assert b"not for" not in content


def test_a_run_of_the_store_may_have_the_name_of_the_one_that_ships(server: str, trained: Run) -> None:
    """Each is served by its version."""
    own = Run(trained.folder.rename(trained.folder.with_name(SHIPPED)))
    box = shipped()
    assert box is not None
    assert own.version != box.version
    for run in (own, box):
        status, _, content = fetch(f"{server}/film/{SHIPPED}/{run.version}/000000.webp")
        assert status == 200
        assert content == run.film.picture("000000")

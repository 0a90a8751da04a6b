"""Folders of trials that travel between a node and the orchestrator's machine."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.executors.remote import carrying
from orchestrator.executors.remote.carrying import Receiving, Sending, lacking, states
from orchestrator.executors.remote.messages import Commit, Letter, Piece, Reading, Tail


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def settle(folder: Path) -> None:
    """Have all files of a folder be a while old."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(time.time_ns() - 10**9,) * 2)


def apply(letters: Iterator[Letter], here: Path) -> list[Letter]:
    """Write into a folder what is sent; returns it."""
    receiving, sent = Receiving(here), []
    for letter in letters:
        if not isinstance(letter.message, Reading):
            sent.append(letter)
        match letter.message:
            case Piece() as piece:
                receiving.take(piece, letter.body)
            case Commit() as commit:
                receiving.commit(commit)
            case Tail() as tail:
                receiving.append(tail, letter.body)
    return sent


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_whole_and_then_only_what_has_changed(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "checkpoint").write_bytes(os.urandom(3 * carrying.PIECE + 5))
    (node / "empty").touch()
    (node / "deep" / "er").mkdir(parents=True)
    (node / "deep" / "er" / "shard").write_text("a shard")
    (node / "journal.jsonl").write_text("one\n")
    settle(node)
    first = apply(sending.changes(), here)
    assert isinstance(first[0].message, Tail)  # the journal comes before what is built on it
    assert content(here) == content(node)
    assert max(len(letter.body) for letter in first) == carrying.PIECE
    assert apply(sending.changes(), here) == []
    with (node / "journal.jsonl").open("a") as file:
        file.write("two\n")
    (node / "deep" / "er" / "shard").write_text("another")
    (node / "empty").unlink()
    settle(node)
    assert sum(len(letter.body) for letter in apply(sending.changes(), here)) == len("two\n" + "another")
    assert content(here) == content(node)


def test_a_file_that_was_only_touched_is_not_sent_again(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "checkpoint").write_bytes(b"x" * 1000)
    settle(node)
    apply(sending.changes(), here)
    os.utime(node / "checkpoint", ns=(1, 1))
    assert [letter for letter in apply(sending.changes(), here) if letter.body] == []


def test_a_file_that_is_being_written_waits_for_the_next_time_but_not_at_the_end(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "checkpoint").write_text("half")
    assert apply(sending.changes(), here) == []
    (node / "checkpoint").write_text("half and more")
    apply(sending.rest(), here)
    assert content(here) == {"checkpoint": b"half and more"}


def test_a_checkpoint_that_is_renamed_into_place_again_and_again_comes_though_it_is_never_old(
    node: Path, here: Path
) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    for epoch in range(3):
        (node / "checkpoint.new").write_text(f"epoch {epoch}")
        (node / "checkpoint.new").replace(node / "checkpoint")
        (node / f"{epoch}.other").touch()  # so that the next one has another inode
        apply(sending.changes(), here)
    assert content(here)["checkpoint"] == b"epoch 2"


def test_a_journal_that_begins_again_replaces_the_one_before(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "journal.jsonl").write_text("one\ntwo\n")
    apply(sending.tails(), here)
    (node / "journal.jsonl").rename(node / "journal.before")
    (node / "journal.jsonl").write_text("other\n")
    apply(sending.tails(), here)
    assert content(here) == {"journal.jsonl": b"other\n"}


def test_a_node_asks_for_what_it_lacks_and_drops_what_is_not_here(node: Path, here: Path) -> None:
    for folder in (node, here):
        (folder / "same").write_text("same")
        os.utime(folder / "same", ns=(1, 1))
    (here / "checkpoint").write_text("newer")
    (node / "checkpoint").write_text("older")
    (node / "left").write_text("of another attempt")
    assert lacking(node, states(here)) == ["checkpoint"]
    assert not (node / "left").exists()


def test_nothing_is_written_outside_the_folder_of_a_trial(here: Path) -> None:
    for path in ("../outside", "/outside"):
        with pytest.raises(ValueError, match="is no path within a trial's folder"):
            Receiving(here).append(Tail(1, 0, path, 0), b"x")


def test_a_file_comes_with_its_time_and_its_mode_also_where_nothing_else_has_changed(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    for age, name in enumerate(("newest", "a")):
        (node / name).write_text(name)
        os.utime(node / name, ns=(10**18 - age,) * 2)
    (node / "a").chmod(0o755)
    apply(sending.changes(), here)
    assert max(here.iterdir(), key=lambda path: path.stat().st_mtime_ns).name == "newest"
    assert (here / "a").stat().st_mode & 0o777 == 0o755
    os.utime(node / "a", ns=(10**18 + 5,) * 2)
    apply(sending.changes(), here)
    assert (here / "a").stat().st_mtime_ns == 10**18 + 5
    (node / "newest").unlink()
    assert lacking(here, states(here)) == []
    assert lacking(node, states(here)) == ["newest"]
    os.utime(node / "a", ns=(10**18,) * 2)
    assert sorted(lacking(node, states(here))) == ["a", "newest"]


@pytest.mark.parametrize("is_end", [False, True])
def test_a_file_may_become_a_folder_and_a_folder_a_file(node: Path, here: Path, is_end: bool) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "grows").write_text("a file")
    (node / "shrinks").mkdir()
    (node / "shrinks" / "inside").write_text("in a folder")
    settle(node)
    apply(sending.changes(), here)
    (node / "grows").unlink()
    (node / "grows" / "deep").mkdir(parents=True)
    (node / "grows" / "deep" / "inside").write_text("in a folder now")
    (node / "shrinks" / "inside").unlink()
    (node / "shrinks").rmdir()
    (node / "shrinks").write_text("a file now")
    settle(node)
    apply(sending.rest() if is_end else sending.changes(), here)
    assert content(here) == content(node)


def test_what_cannot_be_copied_aside_is_no_loss_at_the_end_and_no_secret_before(node: Path, here: Path) -> None:
    aside = node.parent / "aside"
    aside.write_text("no folder, as on a disk that is full")
    sending = Sending(1, 0, node, aside)
    (node / "checkpoint").write_text("a checkpoint")
    settle(node)
    with pytest.raises(OSError, match="aside"):
        apply(sending.changes(), here)
    apply(sending.rest(), here)
    assert content(here) == {"checkpoint": b"a checkpoint"}


def test_a_file_that_vanishes_while_it_is_sent_is_none(node: Path, here: Path) -> None:
    sending = Sending(1, 0, node, node.parent / "aside")
    for name in ("journal.jsonl", "one", "two"):
        (node / name).write_text(name)
    settle(node)
    rest = sending.rest()
    first = next(rest)
    (node / "one").unlink()
    apply(iter([first, *rest]), here)
    assert content(here) == {"journal.jsonl": b"journal.jsonl", "two": b"two"}


def test_others_have_their_turn_while_a_large_file_is_copied(
    node: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "PIECE", 10)
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "checkpoint").write_bytes(b"x" * 100)
    settle(node)
    sent = [letter.message for letter in sending.changes()]
    assert [type(message) for message in sent] == [Reading] * 10 + [Piece] * 10 + [Commit]


def test_a_tail_that_stood_still_takes_nothing_back(node: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "PIECE", 4)
    sending = Sending(1, 0, node, node.parent / "aside")
    (node / "journal.jsonl").write_text("one\ntwo\nsix\n")
    slow = sending.tails()
    sent = [next(slow)]
    with (node / "journal.jsonl").open("a") as file:
        file.write("ten\n")
    sent += sending.tails()
    sizes = []
    for letter in [*sent, *slow]:
        apply(iter([letter]), here)
        sizes.append((here / "journal.jsonl").stat().st_size)
    assert sizes == [4, 8, 12, 16]
    assert content(here) == content(node)

"""Message batches over real HTTP: prepared, sent once, collected once, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from tests.triage.prices import price_haiku
from triage import batches, returns
from triage.models import BatchRequest, Budget, Call, CallStatus, MessageBatch, Spending
from triage.pipeline.types import NoAnswer, Question
from triage.providers.batches import AnthropicBatches, Remote
from triage.providers.fake_batches import FakeBatchesAPI
from triage.vault import decrypt

pytestmark = pytest.mark.django_db(transaction=True)
SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["billing", "bug", "other"]}, "note": {"type": "string"}},
    "required": ["category", "note"],
    "additionalProperties": False,
}
OWNER = "replay:1"


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture(autouse=True)
def haiku_has_its_price(db: None) -> None:
    """A test with real transactions begins without the rows of migrations."""
    price_haiku()


@pytest.fixture
def server(settings: Settings) -> Iterator[FakeBatchesAPI]:
    with FakeBatchesAPI(retry_after=0.05) as fake:
        settings.ANTHROPIC_BASE_URL = fake.base_url
        settings.ANTHROPIC_API_KEY = "test-key"
        settings.TRIAGE_MODEL = "claude-haiku-5-5"
        yield fake


def keep(number: int, text: str = "I was charged twice", **more: Any) -> BatchRequest:
    values: dict[str, Any] = {
        "operation": "classify",
        "system": "You sort tickets.",
        "user": f"{text}, says kim@example.com. No. {number}",
        "prompt_version": "classify-1",
        "max_tokens": 300,
        "schema": SCHEMA,
        "subject_kind": "ticket",
        "subject_id": str(number),
    }
    return batches.keep(Question(**{**values, **more}), owner=OWNER)


def prepared(count: int = 3) -> MessageBatch:
    for number in range(count):
        keep(number)
    batch = batches.assemble(owner=OWNER)
    assert batch is not None
    return batch


def work(*, now: bool = True) -> int:
    """Let a worker do what is due; with `now` all of it is. Returns how many batches it took."""
    if now:
        MessageBatch.objects.update(not_before=timezone.now(), lease_until=None)
    taken = batches.claim(10)
    for pk, claimed in taken:
        asyncio.run(batches.work(pk, claimed))
    return len(taken)


def killed_in(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    """A worker that is killed the moment it enters `name`: nothing of it runs, not even its excuse."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, name, die)
        work()


def state_of(batch: MessageBatch) -> str:
    batch.refresh_from_db()
    return batch.state


def test_a_batch_goes_out_once_and_each_answer_comes_back_to_its_request(server: FakeBatchesAPI) -> None:
    batch = prepared(3)
    work()
    assert (state_of(batch), len(server.batches)) == ("sent", 1)
    work()
    assert state_of(batch) == "sent", "it is not through yet"
    server.finish()
    work()
    assert state_of(batch) == "collected"
    answers = [batches.answer(request) for request in batch.requests.order_by("pk")]
    assert all(json.loads(answer.text)["category"] in ("billing", "bug", "other") for answer in answers)
    assert [Call.objects.get(pk=answer.call_id or 0).subject_id for answer in answers] == ["0", "1", "2"]
    assert len(server.bodies) == 0, "nothing was asked but by the batch"


def test_what_is_personal_leaves_masked_and_comes_back_after_a_restart(server: FakeBatchesAPI) -> None:
    server.says["charged"] = json.dumps({"category": "billing", "note": "Write to [EMAIL_1]."})
    prepared(1)
    work()
    sent = json.dumps(server.requests)
    assert "kim@example.com" not in sent and "[EMAIL_1]" in sent
    stored = BatchRequest.objects.get()
    assert "kim@example.com" not in stored.sealed and stored.masked == {"email": 1}
    assert "charged" not in decrypt(stored.sealed), "the text is not kept while its answer is awaited"
    server.finish()
    work()
    assert "kim@example.com" in batches.answer(BatchRequest.objects.get()).text
    batches.use_up(BatchRequest.objects.all())
    assert BatchRequest.objects.get().sealed == ""
    with pytest.raises(NoAnswer):
        batches.answer(BatchRequest.objects.get())


def test_what_is_not_to_be_masked_leaves_as_it_is_and_its_call_says_so(server: FakeBatchesAPI) -> None:
    keep(1, masking=False)
    batch = batches.assemble(owner=OWNER)
    assert batch is not None
    work()
    assert "kim@example.com" in json.dumps(server.requests)
    server.finish()
    work()
    assert (Call.objects.get().masked, batch.requests.get().masked) == (None, None)


def test_every_result_is_a_call_at_the_batch_price(server: FakeBatchesAPI) -> None:
    batch = prepared(2)
    work()
    server.finish()
    work()
    batch.refresh_from_db()
    for call in Call.objects.all():
        assert (call.operation, call.status, call.batch) == ("batch classify", CallStatus.OK, True)
        assert call.input_tokens is not None and call.output_tokens is not None and call.price is not None
        full = (call.input_tokens * Decimal("0.10") + call.output_tokens * Decimal("0.50")) / 10**6
        assert call.cost == full / 2
        assert call.price["factor"] == "0.50"
        assert call.created_at == batch.sent_at
    total = sum(call.cost or 0 for call in Call.objects.all())
    assert Spending.objects.get().cost == total > 0


def test_a_process_that_dies_before_it_knows_the_name_does_not_send_it_twice(
    server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = prepared(3)
    killed_in(monkeypatch, batches, "_note_sent")
    assert (state_of(batch), batch.remote_id, len(server.batches)) == ("sending", "", 1)
    work()
    assert (state_of(batch), batch.remote_id, len(server.batches)) == ("sent", "msgbatch_1", 1)
    server.finish()
    work()
    assert state_of(batch) == "collected"
    assert batch.requests.filter(state="answered").count() == 3


def test_a_connection_that_ends_after_the_batch_arrived_does_not_send_it_twice(server: FakeBatchesAPI) -> None:
    server.batch_script("reset_after")
    batch = prepared(2)
    work()
    assert (state_of(batch), len(server.batches)) == ("sending", 1)
    assert "trying again" in batch.error
    work()
    assert (state_of(batch), len(server.batches)) == ("sent", 1)


def test_a_process_that_dies_before_it_sends_sends_it_later(
    server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = prepared(2)
    killed_in(monkeypatch, AnthropicBatches, "create")
    assert (state_of(batch), len(server.batches)) == ("sending", 0)
    work()
    assert (state_of(batch), len(server.batches)) == ("sent", 1)


def test_a_strangers_batch_of_the_same_size_is_not_taken_for_ours_in_the_end(
    server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = prepared(1)
    killed_in(monkeypatch, AnthropicBatches, "create")
    params = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Theirs"}]}
    server.add([{"custom_id": "theirs", "params": params}])
    work()
    assert batch.requests.get().state == "waiting" and state_of(batch) == "sent"
    server.finish()
    work()
    assert (state_of(batch), batch.strangers) == ("sending", ["msgbatch_1"])
    assert not Call.objects.exists(), "a stranger's result is none of our calls"
    work()
    server.finish()
    work()
    assert (state_of(batch), batch.remote_id) == ("collected", "msgbatch_2")
    assert batch.requests.get().state == "answered"


def test_who_knows_its_batch_for_certain_takes_it_back_from_who_guessed(server: FakeBatchesAPI) -> None:
    guesser, knower = prepared(1), prepared(1)
    MessageBatch.objects.filter(pk=guesser.pk).update(state="sent", remote_id="msgbatch_9", sent_at=timezone.now())
    batches._note_sent(knower, Remote("msgbatch_9", timezone.now(), False, 1), certain=True)
    assert (state_of(guesser), guesser.remote_id) == ("sending", "")
    assert (state_of(knower), knower.remote_id) == ("sent", "msgbatch_9")


def test_results_that_were_half_collected_are_counted_once(
    server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "PORTION", 2)
    batch = prepared(5)
    work()
    server.finish()
    real, rounds = returns._take_in, []

    class Killed(BaseException):
        pass

    def die_in_the_second(*given: Any) -> int:
        rounds.append(1)
        if len(rounds) == 2:
            raise Killed
        return real(*given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(returns, "_take_in", die_in_the_second)
        work()
    assert Call.objects.count() == 2
    work()
    assert (state_of(batch), Call.objects.count()) == ("collected", 5)
    assert Spending.objects.get().calls == 5


def test_a_claimed_batch_is_nobody_elses_until_its_lease_ends(server: FakeBatchesAPI) -> None:
    batch = prepared(1)
    assert len(batches.claim(5)) == 1
    assert batches.claim(5) == []
    MessageBatch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    ((pk, second),) = batches.claim(5)
    asyncio.run(batches.work(pk, second - 1))  # the first one wakes up late
    assert len(server.batches) == 0 and state_of(batch) == "prepared"


@pytest.mark.parametrize(
    ("fate", "why"), [("errored", "could not answer"), ("expired", "expired"), ("canceled", "cancelled")]
)
def test_a_request_without_an_answer_says_why_and_costs_nothing(server: FakeBatchesAPI, fate: str, why: str) -> None:
    server.becomes["No. 1"] = fate
    batch = prepared(2)
    work()
    server.finish()
    work()
    lost = batch.requests.get(subject_id="1")
    assert lost.state == "failed" and why in lost.error and lost.sealed == ""
    call = Call.objects.get(subject_id="1")
    assert (call.status, call.error_code, call.cost) == (CallStatus.FAILED, fate, Decimal(0))
    assert batch.requests.get(subject_id="0").state == "answered"


def test_an_answer_that_is_no_json_is_kept_and_marked_invalid_in_the_ledger(server: FakeBatchesAPI) -> None:
    server.says["charged"] = "I would say billing."
    prepared(1)
    work()
    server.finish()
    work()
    call = Call.objects.get()
    assert call.status == CallStatus.INVALID and call.cost is not None and call.cost > 0
    assert batches.answer(BatchRequest.objects.get()).text == "I would say billing."


@pytest.mark.parametrize(
    ("fault", "words"), [("unauthorised", "API key"), ("unpaid", "payment"), ("not_found", "no such")]
)
def test_a_batch_that_nobody_will_take_fails_and_says_what_to_put_right(
    server: FakeBatchesAPI, fault: str, words: str
) -> None:
    server.batch_script(fault)
    batch = prepared(2)
    work()
    assert state_of(batch) == "failed" and words in batch.error
    assert set(batch.requests.values_list("state", "sealed")) == {("failed", "")}
    assert work() == 0


def test_a_busy_provider_is_asked_again_later(server: FakeBatchesAPI) -> None:
    server.batch_script("rate_limited", "overloaded")
    batch = prepared(1)
    for _ in range(2):
        work()
        assert state_of(batch) == "prepared", "it was refused for certain: there is nothing to look for"
        assert batch.not_before > timezone.now() + timedelta(seconds=20)
    work()
    assert state_of(batch) == "sent"


def test_a_batch_that_never_arrives_is_given_up_in_the_end(server: FakeBatchesAPI) -> None:
    server.batch_script(*["reset"] * 20)
    batch = prepared(1)
    for _ in range(batches.ATTEMPTS):
        work()
    assert state_of(batch) == "failed" and "connection" in batch.error


def test_cancelled_before_it_left_it_never_leaves(server: FakeBatchesAPI) -> None:
    batch = prepared(2)
    keep(7)
    batches.cancel(owner=OWNER)
    assert (state_of(batch), work(), len(server.batches)) == ("cancelled", 0, 0)
    assert set(BatchRequest.objects.values_list("state", "sealed")) == {("used", "")}


def test_cancelled_after_it_left_the_provider_is_told_and_what_was_answered_is_paid(server: FakeBatchesAPI) -> None:
    batch = prepared(2)
    work()
    batches.cancel(owner=OWNER)
    work()
    assert server.batches["msgbatch_1"]["processing_status"] == "canceling"
    server.finish()
    work()
    assert state_of(batch) == "cancelled"
    assert set(batch.requests.values_list("state", flat=True)) == {"failed"}
    assert set(Call.objects.values_list("error_code", "cost")) == {("canceled", Decimal(0))}


def test_the_budget_is_asked_with_the_estimate_and_with_what_is_under_way(server: FakeBatchesAPI) -> None:
    for number in range(10):
        keep(number)
    characters = sum(BatchRequest.objects.values_list("characters", flat=True))
    each = batches.estimate(characters, 10, batch=True)
    assert each is not None
    Spending.add(Decimal(1) - each * Decimal("0.45"), at=timezone.now())
    Budget.objects.update_or_create(pk=1, defaults={"monthly_limit": Decimal(1)})
    first = batches.assemble(owner=OWNER)
    assert first is not None and first.size == 4, "what the budget bears, and no more"
    with pytest.raises(NoAnswer, match="leaves no room"):
        batches.assemble(owner=OWNER)


def test_without_a_price_there_is_no_estimate_and_the_cost_stays_unknown(
    server: FakeBatchesAPI, settings: Settings
) -> None:
    settings.TRIAGE_MODEL = "llama-5"
    batch = prepared(1)
    assert batch.estimate is None
    work()
    server.finish()
    work()
    assert Call.objects.get().cost is None
    assert Spending.objects.get().unknown == 1


def test_an_estimate_is_half_in_a_batch(db: None) -> None:
    full, half = (batches.estimate(32_000, 10, batch=batch) for batch in (False, True))
    assert full == (10_000 * Decimal("0.10") + 4_500 * Decimal("0.50")) / 10**6
    assert half == full / 2


def test_it_looks_through_more_than_a_page_of_batches(server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = prepared(2)
    killed_in(monkeypatch, batches, "_note_sent")
    params = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Theirs"}]}
    for number in range(120):
        server.add([{"custom_id": str(number), "params": params}])
    work()
    assert (state_of(batch), batch.remote_id) == ("sent", "msgbatch_1")


def test_a_broken_results_file_is_read_again_later(server: FakeBatchesAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = prepared(1)
    work()
    server.finish()

    async def cut(self: FakeBatchesAPI, exchange: Any, name: str) -> None:
        writer = exchange.writer
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-jsonl\r\ncontent-length: 4000\r\n\r\n{")
        await writer.drain()
        writer.close()

    with monkeypatch.context() as patch:
        patch.setattr(FakeBatchesAPI, "_results", cut)
        work()
    assert state_of(batch) == "sent" and "trying again" in batch.error
    work()
    assert state_of(batch) == "collected"

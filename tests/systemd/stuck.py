"""``nbad`` with a predictor that stops for good once the file of the first argument is there."""

import sys
from typing import Self

import trio

import nbad.wiring
from nbad.channels import Receiver, Sender
from nbad.cli import main
from nbad.stages.envelopes import Forecasts, Patterns
from nbad.stages.predictor import predict

flag = trio.Path(sys.argv.pop(1))


class Sticky:
    """A receiver that holds on to what it took once the file is there."""

    def __init__(self, patterns: Receiver[Patterns]) -> None:
        self._patterns = patterns

    async def receive(self) -> Patterns:
        value = await self._patterns.receive()
        if await flag.exists():
            await flag.unlink()  # the next process is well
            await trio.sleep_forever()
        return value

    async def __anext__(self) -> Patterns:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def __aiter__(self) -> Self:
        return self

    @property
    def depth(self) -> int:
        return self._patterns.depth

    @property
    def waited_s(self) -> float:
        return self._patterns.waited_s

    @property
    def superseded(self) -> int:
        return self._patterns.superseded

    def close(self) -> None:
        self._patterns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def predict_or_stick(patterns: Receiver[Patterns], forecasts: Sender[Forecasts]) -> None:
    await predict(Sticky(patterns), forecasts)


vars(nbad.wiring)["predict"] = predict_or_stick
sys.exit(main())

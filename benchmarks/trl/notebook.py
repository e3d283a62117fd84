"""Time a PPO step of TRL 0.11.4 as the course's notebook takes it: one prompt at a time is answered; prints JSON."""

# mypy: ignore-errors

import time

import torch
from step import SAMPLING, arguments, prepared, report


def main():
    parser = arguments()
    parser.add_argument("--lengths", type=int, nargs="+", required=True, help="new tokens of each response")
    a = parser.parse_args()
    trainer, queries = prepared(a.base, a.adapter, a.texts, a.episodes, a.mini_batch)
    start = time.perf_counter()
    responses = []
    for query, length in zip(queries, a.lengths, strict=True):
        response = trainer.generate(query, min_new_tokens=length, max_new_tokens=length, **SAMPLING)
        responses.append(response.squeeze()[-length:])
    trainer.step(queries, responses, list(torch.linspace(-1, 1, a.episodes)))
    report(time.perf_counter() - start, [len(response) for response in responses])


if __name__ == "__main__":
    main()

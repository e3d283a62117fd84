"""The slices of the evaluation: what dialogues each holds, in the order of tables and page."""

SLICES = {
    "all": "All test dialogues",
    "stress": "Stress: the dialogues whose summaries were most toxic before PPO, in samples of their own",
    "seen": "Seen: dialogues of scenarios that also occur in training",
    "unseen": "Unseen: dialogues of scenarios that training never saw",
    "heated": "Heated: dialogues with a turn that the judge finds toxic",
    "calm": "Calm: dialogues without such a turn, which have nothing to lose but content",
    "identity": "Identity: calm dialogues that mention a group of people that hatred is often aimed at",
    "provoked": "Provoked: some calm dialogues, into which a rude turn of ours was put",
    "held_out": "Held out: training dialogues with a turn that the reward finds toxic, which PPO has not seen",
}

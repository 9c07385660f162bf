"""The corpus that the other tests stand on."""

import soundfile


def test_the_tiny_corpus_is_in_voxcelebs_layout(tiny_corpus):
    wavs = sorted(tiny_corpus.glob("wav/*/*/*.wav"))
    assert len(wavs) == 8 * 2 * 3
    for wav in wavs:
        info = soundfile.info(wav)
        assert info.samplerate == 16000 and info.channels == 1
        assert 0.8 <= info.duration <= 1.6


def test_its_trials_are_of_test_speakers_across_recordings(tiny_corpus):
    lines = (tiny_corpus / "meta" / "veri_test.txt").read_text().splitlines()
    trials = [line.split() for line in lines]
    for label, enrol, test in trials:
        one, other = (name.split("/") for name in (enrol, test))
        assert (tiny_corpus / "wav" / enrol).is_file()
        assert (tiny_corpus / "wav" / test).is_file()
        assert {one[0], other[0]} <= {"id00006", "id00007"}
        assert (label == "1") == (one[0] == other[0])
        if label == "1":
            assert one[1] != other[1]
    assert sum(label == "1" for label, _, _ in trials) == 18
    assert len({tuple(trial) for trial in trials}) == 36

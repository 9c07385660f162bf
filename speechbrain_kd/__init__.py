"""Knowledge distillation of speaker models, as a SpeechBrain plug-in."""

__version__ = "0.1.0"

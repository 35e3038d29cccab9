"""What the checks of all formats raise."""


class Damage(ValueError):
    """A picture's file contradicts itself or ends early. The message says where, in a few words."""


class Unsupported(ValueError):
    """An intact picture that would not be read right. The message follows its name: 'is …'."""

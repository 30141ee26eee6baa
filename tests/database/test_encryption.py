"""Encrypted columns: bound to their row, unreadable without the key, readable after a rotation."""

import pytest

from database.encryption import Encryption, EncryptionKeyMissing, NotDecryptable

OLD, NEW = "o" * 32, "n" * 32
ROW = "second_factors.secret/cus_1"


def test_an_encrypted_text_returns_and_shows_nothing_of_itself() -> None:
    encryption = Encryption([OLD])
    first, second = encryption.encrypt("22334455667", ROW), encryption.encrypt("22334455667", ROW)
    assert first != second
    assert "22334455667" not in first
    assert OLD not in first
    assert encryption.decrypt(first, ROW) == encryption.decrypt(second, ROW) == "22334455667"


def test_an_encrypted_text_of_another_row_does_not_decrypt() -> None:
    encryption = Encryption([OLD])
    with pytest.raises(NotDecryptable):
        encryption.decrypt(encryption.encrypt("secret", ROW), "second_factors.secret/cus_2")


@pytest.mark.parametrize("change", [lambda text: text[:-4] + "AAA=", lambda text: text[:20], lambda text: text + "!"])
def test_a_changed_text_does_not_decrypt(change: object) -> None:
    encryption = Encryption([OLD])
    assert callable(change)
    with pytest.raises(NotDecryptable):
        encryption.decrypt(change(encryption.encrypt("secret", ROW)), ROW)


def test_a_rotated_key_decrypts_what_it_encrypted_and_encrypts_no_more() -> None:
    before = Encryption([OLD]).encrypt("secret", ROW)
    both = Encryption([NEW, OLD])
    assert both.decrypt(before, ROW) == "secret"
    assert not both.is_current(before)
    after = both.encrypt("secret", ROW)
    assert both.is_current(after)
    assert Encryption([NEW]).decrypt(after, ROW) == "secret"
    with pytest.raises(EncryptionKeyMissing):
        Encryption([NEW]).decrypt(before, ROW)


def test_without_a_key_nothing_is_encrypted() -> None:
    encryption = Encryption([])
    assert not encryption.available
    with pytest.raises(EncryptionKeyMissing):
        encryption.encrypt("secret", ROW)

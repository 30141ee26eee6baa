"""Money: integers in a currency's minor unit, and how people read them. No float comes near it."""

from collections.abc import Mapping
from dataclasses import dataclass

# The largest integer that every JSON reader keeps exactly (RFC 8259, section 6).
MAX_AMOUNT_MINOR = 2**53 - 1


def _minor_unit_digits() -> Mapping[str, int]:
    """Digits after the decimal point per ISO 4217 code; metals, test codes and units of account are left out."""
    two = """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
        CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
        KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK
        NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB
        TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """
    digits = dict.fromkeys(two.split(), 2)
    digits |= dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0)
    digits |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    return digits


# Source: ISO 4217 list one, as published by SIX (currencies in circulation).
MINOR_UNIT_DIGITS: Mapping[str, int] = _minor_unit_digits()

# Of currencies whose symbol names no other one. Amounts in all others begin with the code.
SYMBOLS: Mapping[str, str] = {
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "NGN": "₦",
    "USD": "$",
    "VND": "₫",
}


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 code that money can be held in."""
    return code in MINOR_UNIT_DIGITS


def major_to_minor(major: int, currency: str) -> int:
    """`10_000` major units of USD are `1_000_000` minor ones; of JPY, `10_000`."""
    return int(major * 10 ** MINOR_UNIT_DIGITS[currency])


_SCALE_OF_ONE = 1_000


def _scales() -> Mapping[str, int]:
    """By how many thousandths an amount of a currency is multiplied."""
    thousandths = dict.fromkeys(MINOR_UNIT_DIGITS, _SCALE_OF_ONE)
    thousandths |= dict.fromkeys("BHD JOD KWD OMR".split(), _SCALE_OF_ONE // 10)
    thousandths |= dict.fromkeys("CLP DJF ISK JPY KMF KRW RWF VUV XAF XOF XPF".split(), 100 * _SCALE_OF_ONE)
    weakest = "BIF COP GNF IDR IQD IRR KHR LAK LBP MGA MMK MNT PYG SYP TZS UGX UZS VND"
    thousandths |= dict.fromkeys(weakest.split(), 1_000 * _SCALE_OF_ONE)
    return thousandths


# Rough on purpose, powers of ten only: whoever runs the service sets what its law and its customers need.
SCALE_THOUSANDTHS: Mapping[str, int] = _scales()


def scaled_to_minor(major: int, currency: str) -> int:
    """`10_000` for every currency is 10,000.00 USD, 1,000,000 JPY and 1,000.000 KWD, in minor units."""
    return major_to_minor(major, currency) * SCALE_THOUSANDTHS[currency] // _SCALE_OF_ONE


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the minor unit of its currency. Compares and prints; arithmetic is done on `amount_minor`."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        """`₹1,255.00`, `KES 12.50`, `-$0.05`, `¥1,200`: for people, never parsed back."""
        digits = MINOR_UNIT_DIGITS[self.currency]
        major, minor = divmod(abs(self.amount_minor), 10**digits)
        sign = "-" if self.amount_minor < 0 else ""
        symbol = SYMBOLS.get(self.currency, f"{self.currency} ")
        fraction = f".{minor:0{digits}d}" if digits else ""
        return f"{sign}{symbol}{major:,}{fraction}"

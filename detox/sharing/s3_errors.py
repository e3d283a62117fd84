"""What goes wrong with S3, as a reason and what to do about it."""

import re

from botocore.exceptions import ClientError

from detox.files import DISK_ERRORS

NO_ANSWER = "no server answers there: check AWS_ENDPOINT_URL_S3, the network and the server"
REGION = "the bucket is in another region: set AWS_DEFAULT_REGION"
NO_READING = "these keys may not read there: check the name of the bucket and the rights of the keys"
NO_WRITING = "these keys may read but not write: push with keys that may"
ENDPOINT = re.compile(r"Invalid endpoint: (\S{1,200})")  # as botocore says it
LINES = {  # by the error code of S3, or botocore's exception
    "NoSuchBucket": "there is no such bucket: make it, or correct the name with dvc remote modify",
    "NoCredentialsError": "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PartialCredentialsError": "there is half of the credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the server does not know this key: check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL_S3",
    "SignatureDoesNotMatch": "the secret is not that of the key: check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired: renew them",
    "ProfileNotFound": "there is no such profile in ~/.aws: check AWS_PROFILE, or the remote's profile in .dvc/config",
    "ProxyConnectionError": "the proxy is down: check HTTPS_PROXY and HTTP_PROXY, or name the server in NO_PROXY",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "PermanentRedirect": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "EndpointConnectionError": NO_ANSWER,
    "ConnectTimeoutError": NO_ANSWER,
    "ConnectionClosedError": NO_ANSWER,
    "ReadTimeoutError": NO_ANSWER,
}


def reason(error: BaseException, denied: str) -> str:
    """What is wrong and what to do, in one line without a secret; `denied` where the server does not allow it."""
    said = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(error, ValueError) and (found := ENDPOINT.fullmatch(str(error))):
        where = found[1].rpartition("@")[2]
        return f"{where} is no endpoint: write http:// or https:// before it, in AWS_ENDPOINT_URL_S3 or .dvc/config"
    kind = said.response["Error"]["Code"] if isinstance(said, ClientError) else type(error).__name__
    if isinstance(error, OSError) and not isinstance(said, ClientError) and error.errno in DISK_ERRORS:
        return f"{error.filename} cannot be written ({error.strerror}): make room there or check its permissions"
    if kind in ("AccessDenied", "403"):
        return denied
    return LINES.get(kind, f"{kind}: check the remote's settings, the network and the server, and run this again")
